// SPDX-License-Identifier: GPL-2.0
//! exit and exit_group.

use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::SyscallResult;
use crate::process::exit::end_thread;
use crate::task::current;

/// Exit statuses have eight bits.
const STATUS: u64 = 0xff;

/// exit(2): the process goes with its last thread, whose status it gets.
pub fn exit(frame: &mut UserFrame) -> SyscallResult {
    let status = frame.args()[0] & STATUS;
    let process = current::process();
    if process.lifetime.leave() {
        process.end(|| delegate::report_exit(op::EXIT, status));
    }
    end_thread()
}

/// exit_group(2).
pub fn exit_group(frame: &mut UserFrame) -> SyscallResult {
    let status = frame.args()[0] & STATUS;
    current::process().end(|| delegate::report_exit(op::EXIT, status));
    end_thread()
}
