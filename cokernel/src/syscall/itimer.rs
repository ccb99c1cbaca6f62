// SPDX-License-Identifier: GPL-2.0
//! Interval timers. Real time runs on Linux, and its signal is forwarded; the others would count
//! the proxy's CPU time.

use super::errno::{Errno, SyscallResult};
use super::user::int;
use crate::arch::UserFrame;

const ITIMER_REAL: i32 = 0;

/// getitimer(2).
pub fn getitimer(frame: &mut UserFrame) -> SyscallResult {
    delegate_real(frame)
}

/// setitimer(2).
pub fn setitimer(frame: &mut UserFrame) -> SyscallResult {
    delegate_real(frame)
}

fn delegate_real(frame: &UserFrame) -> SyscallResult {
    match int(frame.args()[0]) {
        ITIMER_REAL => super::forward(frame.number(), frame.args()),
        1 | 2 => Err(Errno::ENOSYS),
        _ => Err(Errno::EINVAL),
    }
}
