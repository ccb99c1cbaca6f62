// SPDX-License-Identifier: GPL-2.0
//! Making the threads of a process look: they end, or stay off their CPUs.

use crate::task::process::Process;
use crate::task::sched;

impl Process {
    /// All its threads end at their next way back to user mode. Any context.
    pub fn kill(&self) {
        self.lifetime.begin_dying();
        self.kick();
    }

    /// Takes its threads off their CPUs, or lets them on again.
    pub fn set_frozen(&self, frozen: bool) {
        self.lifetime.set_frozen(frozen);
        self.kick();
    }

    /// Makes every thread look at its flags soon.
    pub fn kick(&self) {
        for thread in self.threads() {
            thread.request_return_work();
            sched::wake(&thread);
            sched::kick(&thread);
        }
    }
}
