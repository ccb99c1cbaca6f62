// SPDX-License-Identifier: GPL-2.0
//! An examination of all CPUs of a running instance. Somebody asks for its status, or waits for a CPU; the
//! watchdog finds out, and nobody waits for it. An instance that nobody asks about is not disturbed.

use super::pulse::{Pulse, Verdict};
use super::running::Running;
use kernel::prelude::*;
use kernel::time::{Instant, Monotonic};

/// The CPUs that have not beaten since it began.
pub(crate) struct Examination {
    looked: Instant<Monotonic>,
    left: KVec<(usize, Pulse)>,
}

/// What is known.
pub(crate) enum Finding {
    /// Not all yet.
    Unknown,
    /// All CPUs live.
    Well,
    /// One does not.
    Hung(&'static CStr),
}

impl Examination {
    /// Rings all CPUs.
    pub(crate) fn begin(running: &Running) -> Result<Self> {
        let mut left = KVec::with_capacity(running.cpus.len(), GFP_KERNEL)?;
        for index in 0..running.cpus.len() {
            let pulse = Pulse::new(running.heartbeat(index), running.nmis(index));
            left.push((index, pulse), GFP_KERNEL)?;
        }
        running.ring_all();
        Ok(Self {
            looked: Instant::now(),
            left,
        })
    }

    /// Looks at those CPUs that are left.
    pub(crate) fn go_on(&mut self, running: &Running) -> Finding {
        let passed_ms = self.looked.elapsed().as_millis();
        self.looked = Instant::now();
        let mut finding = Finding::Well;
        for (index, pulse) in &mut self.left {
            let (beat, nmis) = (running.heartbeat(*index), running.nmis(*index));
            match pulse.look(beat, nmis, passed_ms) {
                Verdict::Well => continue,
                Verdict::Listen => {}
                Verdict::Ask => running.interrupt_unmaskably(*index),
                Verdict::Stuck => return Finding::Hung(c"a CPU runs, and gets nowhere"),
                Verdict::Dead => return Finding::Hung(c"a CPU does not run"),
            }
            finding = Finding::Unknown;
        }
        finding
    }
}
