// SPDX-License-Identifier: GPL-2.0
//! `execve`: this process becomes an mcexec for another program.
//!
//! This thread makes the very call that the program makes, with its own strings. Linux does all that
//! belongs to it, and loads mcexec in the place of the program, because the call was announced to mcctrl.
//! An error comes back to the program; then nothing has changed.

use std::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::errno;
use ihk_ikc::uapi::Execute;
use nix::errno::Errno;
use nix::libc;

use super::placement;
use super::raw::raw;
use crate::device;
use crate::signals::raw::{make_wait, set_mask, take_back};
use crate::start::inherited;
use crate::syscall::Answer;

/// What stands for a file that runs nowhere but on Linux ([`ihk_ikc::uapi::EXECUTE`]).
const NOWHERE_ELSE: i32 = 524;

/// The signals that wait in the co-kernel and are to wait for the new program.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// Makes the blocked signals `set` wait for the next program.
pub(super) fn bequeath(set: u64) {
    WAITING.store(set, Ordering::Relaxed);
}

/// Becomes the program that `args` ([`ihk_ikc::process::op::EXEC`]) describe.
///
/// # Errors
///
/// The error is one of execveat(2), and nothing has changed.
pub(super) fn execute(args: [u64; 6]) -> Answer {
    let [directory, path, argv, environment, flags, mask] = args;
    device::announce_execution(limits())?;
    let before = set_mask(mask);
    let waiting = WAITING.swap(0, Ordering::Relaxed) & mask;
    make_wait(waiting);
    let call = [directory, path, argv, environment, flags, 0];
    let failed = placement::without(|| raw(libc::SYS_execveat, call));
    take_back(waiting);
    set_mask(before);
    device::withdraw_execution();
    match failed {
        Err(failure) if errno::Errno::from(failure) == errno::Errno::new(NOWHERE_ELSE) => {
            Err(Errno::ENOEXEC.into())
        }
        failed => failed,
    }
}

/// Returns the limits that the co-kernel keeps.
fn limits() -> Execute {
    let mut announced = Execute {
        cpu: -1,
        ..Execute::default()
    };
    let places = announced.limits.iter_mut().zip(inherited::kept_limits());
    for (number, (place, limit)) in (0..).zip(places) {
        if let Some(limit) = limit {
            *place = limit;
            announced.kept |= 1 << number;
        }
    }
    announced
}
