// SPDX-License-Identifier: GPL-2.0
//! exit and exit_group.

use ihk_ikc::process::op;

use super::errno::SyscallResult;
use crate::arch::UserFrame;
use crate::delegate;
use crate::task::exit::end_thread;
use crate::task::process;

/// Exit statuses have eight bits.
const STATUS: u64 = 0xff;

/// exit(2): the process goes with its last thread.
pub fn exit(frame: &mut UserFrame) -> SyscallResult {
    if process::current().threads().len() > 1 {
        end_thread();
    }
    exit_group(frame)
}

/// exit_group(2).
pub fn exit_group(frame: &mut UserFrame) -> SyscallResult {
    let status = frame.args()[0] & STATUS;
    let process = process::current();
    if !process.is_dying() {
        delegate::farewell(op::EXIT, status);
        process.kill();
    }
    end_thread()
}
