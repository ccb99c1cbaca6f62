// SPDX-License-Identifier: GPL-2.0
//! The wait of a parent for its child of vfork.

use crate::task::process::{Process, Release};
use crate::task::sched;

/// The current thread will wait.
pub fn prepare() -> Release {
    Release::new(sched::current_arc())
}

/// Waits for `release`, in the thread that prepared it; the end of `process`, its own, ends the wait.
pub fn wait(release: &Release, process: &Process) {
    sched::block(|| release.is_done() || process.is_dying());
}

/// The child has given up the address space.
pub fn complete(release: &Release) {
    sched::wake(release.finish());
}
