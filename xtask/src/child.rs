// SPDX-License-Identifier: GPL-2.0
//! Children that do not outlive what started them.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Has Linux kill what `command` starts when the thread that starts it ends, however it ends. What the child starts in
/// turn does not inherit that, nor does sudo or another program that changes the user.
pub(crate) fn ends_with_us(command: &mut Command) -> &mut Command {
    let in_child = || Ok(set_pdeathsig(Signal::SIGKILL)?);
    // SAFETY: the closure makes one system call and allocates nothing, as code between fork and exec must.
    unsafe { command.pre_exec(in_child) }
}

/// A child that is killed and reaped unless it has ended by then.
#[derive(Debug)]
pub(crate) struct Reaped(pub(crate) Child);

impl Deref for Reaped {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Reaped {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail if it has been waited for. sudo, which we may not kill, ends when nobody reads what it says.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
