// SPDX-License-Identifier: GPL-2.0
//! Hop 6.2 of a delegated call: a call on mcexec's own descriptor is refused.
//!
//! The program, which has the same table of descriptors, must neither use nor close it.

use std::os::fd::RawFd;

use ihk_ikc::syscalls::{self, Class};
use nix::errno::Errno;
use nix::libc;

use super::raw::raw;
use crate::device;
use crate::syscall::Answer;

/// Returns whether `argument`, the first one of `call`, is our descriptor. Linux reads the lower
/// half of the word only.
#[must_use]
pub(crate) fn is_ours(call: libc::c_long, argument: u64) -> bool {
    let class = || syscalls::class(call.cast_unsigned());
    descriptor(argument) == device::descriptor() && class().has(Class::DESCRIPTOR_FIRST)
}

fn descriptor(argument: u64) -> RawFd {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Linux ignores the upper half, too"
    )]
    let number = argument as u32;
    number.cast_signed()
}

/// Performs `close_range` and leaves our descriptor open.
pub(crate) fn close_range(args: [u64; 6]) -> Answer {
    let [first, last, flags, ..] = args;
    #[expect(clippy::cast_possible_truncation, reason = "unsigned int in Linux")]
    let (first, last) = (u64::from(first as u32), u64::from(last as u32));
    let ours = u64::from(device::descriptor().cast_unsigned());
    if !(first..=last).contains(&ours) {
        return raw(libc::SYS_close_range, args);
    }
    let unshare = u64::from(libc::CLOSE_RANGE_UNSHARE);
    let mut flags = flags;
    for (first, last) in [(first, ours.wrapping_sub(1)), (ours + 1, last)] {
        if first > last || last > u64::from(u32::MAX) {
            continue;
        }
        raw(libc::SYS_close_range, [first, last, flags, 0, 0, 0])?;
        flags &= !unshare;
    }
    Ok(0)
}

/// Performs `dup2` or `dup3`: our descriptor cannot be copied, and goes elsewhere if the program
/// wants its number.
pub(crate) fn duplicate_to(call: libc::c_long, args: [u64; 6]) -> Answer {
    if descriptor(args[0]) == device::descriptor() {
        return Err(Errno::EBADF.into());
    }
    device::make_room(descriptor(args[1]))?;
    raw(call, args)
}
