// SPDX-License-Identifier: GPL-2.0
//! The caller's process and thread ids, which are those of its proxy and its worker on Linux.

use crate::arch::UserFrame;
use crate::errno::SyscallResult;
use crate::task::{current, sched};

/// getpid(2).
pub fn getpid(_: &mut UserFrame) -> SyscallResult {
    Ok(as_value(current::process().pid))
}

/// gettid(2).
pub fn gettid(_: &mut UserFrame) -> SyscallResult {
    Ok(as_value(sched::current().data.tid))
}

/// set_tid_address(2).
pub fn set_tid_address(frame: &mut UserFrame) -> SyscallResult {
    let thread = sched::current();
    thread.data.set_clear_child_tid(frame.args()[0]);
    Ok(as_value(thread.data.tid))
}

/// An id as a register value. Ids are positive.
pub fn as_value(id: i32) -> u64 {
    u64::from(id.unsigned_abs())
}
