// SPDX-License-Identifier: GPL-2.0
//! Starts QEMU with its ends of our sockets, and so that it dies with us.

use anyhow::{Context, Result};
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use crate::child::ends_with_us;

/// Spawns `command`, which inherits `inherited` under their present numbers.
///
/// # Errors
/// The program cannot be started.
pub(super) fn spawn(command: &mut Command, inherited: Vec<OwnedFd>) -> Result<Child> {
    let numbers: Vec<i32> = inherited.iter().map(AsRawFd::as_raw_fd).collect();
    let in_child = move || {
        for &number in &numbers {
            // SAFETY: `inherited` keeps the descriptor open until spawn() has returned.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes plain system calls and allocates nothing, as code between fork and exec must.
    unsafe { ends_with_us(command).pre_exec(in_child) };
    let child = command
        .spawn()
        .with_context(|| format!("{}", command.get_program().display()));
    drop(inherited);
    child
}
