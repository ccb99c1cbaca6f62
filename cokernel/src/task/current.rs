// SPDX-License-Identifier: GPL-2.0
//! The process of the current thread.

use alloc::sync::Arc;

use crate::task::process::Process;
use crate::task::sched;

/// The process of the current thread.
///
/// # Panics
///
/// In a thread of the kernel itself; system calls have none.
pub fn process() -> &'static Arc<Process> {
    try_process().expect("a system call comes from a process")
}

/// The process of the current thread, if it has one. It lives as long as the thread.
pub fn try_process() -> Option<&'static Arc<Process>> {
    sched::try_current()?.process.as_ref()
}
