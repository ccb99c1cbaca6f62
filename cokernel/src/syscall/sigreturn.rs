// SPDX-License-Identifier: GPL-2.0
//! rt_sigreturn: the restorer's call at the end of a handler.

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::task::signal;

/// rt_sigreturn(2): returns what the interrupted code had in its result register.
pub fn rt_sigreturn(frame: &mut UserFrame) -> SyscallResult {
    signal::sigreturn(frame).map_err(|_| Errno::EFAULT)?;
    Ok(frame.rax)
}
