// SPDX-License-Identifier: GPL-2.0
//! The interactive shell on the virtio console.

use crate::run;
use anyhow::{Context, Result};
use nix::pty::Winsize;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;

nix::ioctl_write_ptr_bad!(set_window_size, nix::libc::TIOCSWINSZ, Winsize);
nix::ioctl_write_int_bad!(set_controlling_terminal, nix::libc::TIOCSCTTY);

/// Runs a login shell with job control on /dev/hvc0 and returns its status.
///
/// # Errors
/// The console is missing or the shell could not be started.
pub(crate) fn shell(rows: u16, columns: u16, term: &str) -> Result<u8> {
    let console = File::options()
        .read(true)
        .write(true)
        .open("/dev/hvc0")
        .context("/dev/hvc0")?;
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open and `size` lives across the call.
    unsafe { set_window_size(console.as_raw_fd(), &size) }.context("terminal size")?;
    let mut command = run::command(OsStr::new("/bin/bash"), term);
    command
        .arg("-il")
        .stdin(console.try_clone()?)
        .stdout(console.try_clone()?)
        .stderr(console);
    let become_session_leader = || {
        nix::unistd::setsid()?;
        // SAFETY: descriptor 0 is the console, set up by the Command before this runs.
        unsafe { set_controlling_terminal(0, 0) }?;
        Ok(())
    };
    // SAFETY: the closure makes two system calls and allocates nothing, as code between fork and exec must.
    unsafe { command.pre_exec(become_session_leader) };
    let child = command.spawn().context("bash")?;
    run::reap_until(&child)
}
