// SPDX-License-Identifier: GPL-2.0
//! rt_sigreturn: the restorer's call at the end of a handler.

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::deliver;

/// rt_sigreturn(2): returns what the interrupted code had in its result register.
pub fn rt_sigreturn(frame: &mut UserFrame) -> SyscallResult {
    deliver::sigreturn(frame).map_err(|_| Errno::EFAULT)?;
    Ok(frame.rax)
}
