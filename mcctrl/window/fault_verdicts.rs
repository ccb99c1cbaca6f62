// SPDX-License-Identifier: GPL-2.0
//! Fault verdicts, a small cache: how faults end that the co-kernel refused while the faulting task had
//! dropped its lock. Linux wants such a fault to be tried again; the second try finds the verdict here.

use crate::ffi::vma::Outcome;

const MOST: usize = 16;

#[derive(Clone, Copy)]
struct Verdict {
    task: usize,
    address: u64,
    outcome: Outcome,
}

/// The youngest verdicts of one address space. A lost one costs only another question.
pub(crate) struct FaultVerdicts {
    entries: [Option<Verdict>; MOST],
    next: usize,
}

impl FaultVerdicts {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            entries: [None; MOST],
            next: 0,
        }
    }

    /// The fault of `task` at `address` is to end as `outcome`.
    pub(crate) fn put(&mut self, task: usize, address: u64, outcome: Outcome) {
        if let Some(entry) = self.entries.get_mut(self.next % MOST) {
            *entry = Some(Verdict {
                task,
                address,
                outcome,
            });
        }
        self.next = self.next.wrapping_add(1);
    }

    /// Takes the verdict on the fault of `task` at `address`, if there is one.
    pub(crate) fn take(&mut self, task: usize, address: u64) -> Option<Outcome> {
        let matches = |entry: &&mut Option<Verdict>| {
            entry.is_some_and(|it| it.task == task && it.address == address)
        };
        let verdict = self.entries.iter_mut().find(matches)?.take();
        verdict.map(|it| it.outcome)
    }
}
