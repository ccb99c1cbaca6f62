// SPDX-License-Identifier: GPL-2.0
//! Hop 6.2 of a delegated call: a call on mcexec's own descriptor is refused.
//!
//! The program, which has the same table of descriptors, must neither use nor close it.

use std::os::fd::RawFd;

use nix::libc;

use super::raw::raw;
use crate::device;

/// The answer of a call on a descriptor that is not open.
pub(crate) const EBADF: i64 = -(libc::EBADF as i64);

/// Returns whether `argument`, the first one of `call`, is our descriptor. Linux reads the lower
/// half of the word only.
#[must_use]
pub(crate) fn is_ours(call: libc::c_long, argument: u64) -> bool {
    descriptor(argument) == device::descriptor() && takes_descriptor_first(call)
}

fn descriptor(argument: u64) -> RawFd {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Linux ignores the upper half, too"
    )]
    let number = argument as u32;
    number.cast_signed()
}

/// Returns whether the first argument of `call` is a descriptor that must be open.
fn takes_descriptor_first(call: libc::c_long) -> bool {
    /// New in Linux 7.3; before, Linux refuses it as any unknown number.
    const SYS_FCHROOT: libc::c_long = 472;
    matches!(
        call,
        libc::SYS_read
            | libc::SYS_write
            | libc::SYS_close
            | libc::SYS_fstat
            | libc::SYS_lseek
            | libc::SYS_ioctl
            | libc::SYS_pread64
            | libc::SYS_pwrite64
            | libc::SYS_readv
            | libc::SYS_writev
            | libc::SYS_preadv
            | libc::SYS_pwritev
            | libc::SYS_preadv2
            | libc::SYS_pwritev2
            | libc::SYS_dup
            | libc::SYS_fcntl
            | libc::SYS_flock
            | libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_ftruncate
            | libc::SYS_fchdir
            | libc::SYS_fchmod
            | libc::SYS_fchown
            | libc::SYS_fstatfs
            | libc::SYS_getdents
            | libc::SYS_fallocate
            | libc::SYS_fgetxattr
            | libc::SYS_fsetxattr
            | libc::SYS_flistxattr
            | libc::SYS_fremovexattr
            | SYS_FCHROOT
    )
}

/// Performs `close_range` and leaves our descriptor open.
#[must_use]
pub(crate) fn close_range(args: [u64; 6]) -> i64 {
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
        let result = raw(libc::SYS_close_range, [first, last, flags, 0, 0, 0]);
        if result != 0 {
            return result;
        }
        flags &= !unshare;
    }
    0
}

/// Performs `dup2` or `dup3`: our descriptor cannot be copied, and goes elsewhere if the program
/// wants its number.
#[must_use]
pub(crate) fn duplicate_to(call: libc::c_long, args: [u64; 6]) -> i64 {
    if descriptor(args[0]) == device::descriptor() {
        return EBADF;
    }
    match device::make_room(descriptor(args[1])) {
        Ok(()) => raw(call, args),
        Err(errno) => -i64::from(errno as i32),
    }
}
