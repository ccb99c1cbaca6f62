// SPDX-License-Identifier: GPL-2.0
//! Descriptors of the program, which this process knows by number only, and what they refer to.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::PathBuf;

/// Borrows a descriptor of the program, which is known by its number only.
#[expect(
    unsafe_code,
    reason = "descriptors of the program are known by number only"
)]
pub(crate) fn borrow(fd: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: not -1; it is only passed to calls that answer EBADF for a number that is not open,
    // and the thread that could close it waits for the very request that these calls are made for.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Returns the kind of file system that descriptor `fd` lies in, as statfs tells it.
pub(crate) fn file_system(fd: RawFd) -> Option<i64> {
    let status = nix::sys::statfs::fstatfs(borrow(fd)?).ok()?;
    Some(status.filesystem_type().0)
}

/// Returns the path of what descriptor `fd` refers to.
pub(crate) fn path_of(fd: RawFd) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}
