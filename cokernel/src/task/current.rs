// SPDX-License-Identifier: GPL-2.0
//! The process of the current thread.

use alloc::sync::Arc;

use cokernel_logic::policy::Policy;

use crate::aspace::populate::Asker;
use crate::aspace::space::AddressSpace;
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

/// The policy of the current thread, if it is one of `space`; the default one otherwise.
pub fn policy_in(space: &AddressSpace) -> Policy {
    let is_ours = |process: &&Arc<Process>| Arc::ptr_eq(&process.space.hardware, &space.hardware);
    match try_process().filter(is_ours) {
        Some(_) => sched::current().data.policy(),
        None => Policy::default(),
    }
}

/// The current thread, which has `space` filled.
pub fn asker(space: &AddressSpace) -> Asker {
    Asker {
        policy: policy_in(space),
        goes_on: || !try_process().is_some_and(|process| process.is_dying()),
    }
}
