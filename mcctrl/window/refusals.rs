// SPDX-License-Identifier: GPL-2.0
//! Faults that the co-kernel refused while the faulting task had dropped its lock. Linux wants such
//! a fault to be tried again; the second try finds the verdict here.

use crate::ffi::vma::Outcome;

const MOST: usize = 16;

#[derive(Clone, Copy)]
struct Refusal {
    task: usize,
    address: u64,
    outcome: Outcome,
}

/// The youngest refusals of one address space. A lost one costs only another question.
pub(crate) struct Refusals {
    entries: [Option<Refusal>; MOST],
    next: usize,
}

impl Refusals {
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
            *entry = Some(Refusal {
                task,
                address,
                outcome,
            });
        }
        self.next = self.next.wrapping_add(1);
    }

    /// Takes the verdict on the fault of `task` at `address`, if there is one.
    pub(crate) fn take(&mut self, task: usize, address: u64) -> Option<Outcome> {
        let matches = |entry: &&mut Option<Refusal>| {
            entry.is_some_and(|it| it.task == task && it.address == address)
        };
        let refusal = self.entries.iter_mut().find(matches)?.take();
        refusal.map(|it| it.outcome)
    }
}
