// SPDX-License-Identifier: GPL-2.0
//! Linux's clocks as a co-kernel knows them: written into its control words now and then, and at once when one is
//! set.

use super::running::Running;
use super::Instance;
use crate::ffi::clock;
use crate::proto::packet::ToCokernel;
use core::sync::atomic::Ordering;
use kernel::sync::Arc;

impl Instance {
    /// A clock was set: the co-kernel hears of it soon, by a work item. Any context.
    pub(crate) fn clock_was_set(self: &Arc<Self>) {
        self.clock_is_news.store(true, Ordering::Release);
        self.look_after();
    }

    /// Tells `running`, which is this instance, what the clocks say. Under `steering`.
    pub(super) fn tell_clocks(&self, running: &Running) {
        let is_news = self.clock_is_news.swap(false, Ordering::AcqRel);
        running.write_clocks();
        if is_news && running.send(0, &ToCokernel::ClockSet {}.encode()).is_err() {
            // No room: the watchdog comes by again.
            self.clock_is_news.store(true, Ordering::Release);
        }
    }
}

impl Running {
    /// Writes what the clocks say. One caller at a time: before the CPUs start, or under `steering`.
    pub(crate) fn write_clocks(&self) {
        let (words, now) = (&self.control.clock, clock::now());
        let next = words
            .read()
            .map_or(now, |before| now.measured_since(&before, clock::nominal()));
        words.write(&next);
    }
}
