// SPDX-License-Identifier: GPL-2.0
//! Files in memory with our texts, in the place of the files of `/proc` that were opened.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::libc;
use nix::sys::memfd::{memfd_create, MFdFlags};
use nix::sys::stat::fstat;

use super::descriptor::borrow;
use super::view::View;

/// The text of so many files is made anew when they are read again. The oldest are forgotten.
const MOST_REMEMBERED: usize = 64;

/// A file in memory: device and inode.
type Key = (u64, u64);

static REMEMBERED: Mutex<BTreeMap<Key, View>> = Mutex::new(BTreeMap::new());
/// Whether [`REMEMBERED`] has ever had an entry.
static HAS_ANY: AtomicBool = AtomicBool::new(false);

/// Returns the views, locked. They are kept locked over a fork, so that the child finds them whole.
pub(crate) fn remembered() -> MutexGuard<'static, BTreeMap<Key, View>> {
    REMEMBERED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Lets `fd` lead to a file with `text`, which the program may read only. The flags of the
/// descriptor stay.
///
/// # Errors
///
/// Linux has no room, or no number.
pub(super) fn put(fd: RawFd, view: View, text: &[u8]) -> Result<(), Errno> {
    let place = borrow(fd).ok_or(Errno::EBADF)?;
    let closes = FdFlag::from_bits_retain(fcntl(place, FcntlArg::F_GETFD)?);
    let mut memory: File = memfd_create(c"view", MFdFlags::MFD_CLOEXEC)?.into();
    memory.write_all(text).map_err(|error| errno_of(&error))?;
    let status = memory.metadata().map_err(|error| errno_of(&error))?;
    let flags = if closes.contains(FdFlag::FD_CLOEXEC) {
        libc::O_CLOEXEC
    } else {
        0
    };
    duplicate(memory.as_raw_fd(), fd, flags)?;
    // The program may have one number to spare only, which is free again now.
    drop(memory);
    let readable = OpenOptions::new()
        .read(true)
        .open(format!("/proc/self/fd/{fd}"))
        .map_err(|error| errno_of(&error))?;
    duplicate(readable.as_raw_fd(), fd, flags)?;
    let mut views = remembered();
    HAS_ANY.store(true, Ordering::Relaxed);
    views.insert((status.dev(), status.ino()), view);
    if views.len() > MOST_REMEMBERED {
        views.pop_first();
    }
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "descriptors of the program are known by number only"
)]
fn duplicate(from: RawFd, to: RawFd, flags: i32) -> Result<(), Errno> {
    // SAFETY: `to` is the program's, just opened by the call that is being performed.
    Errno::result(unsafe { libc::dup3(from, to, flags) }).map(drop)
}

/// Makes the text of `fd` anew if it is a file of ours, because it is about to be read from the
/// beginning again.
pub(crate) fn renew(fd: u64) {
    let Ok(fd) = RawFd::try_from(fd) else { return };
    // Every read from a beginning comes here, and few programs have views open.
    if !HAS_ANY.load(Ordering::Relaxed) {
        return;
    }
    let Some(status) = borrow(fd).and_then(|fd| fstat(fd).ok()) else {
        return;
    };
    let view = remembered().get(&(status.st_dev, status.st_ino)).copied();
    let Some(text) = view.and_then(|view| view.text().ok()) else {
        return;
    };
    let writable = OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{fd}"));
    if let Ok(file) = writable {
        // A reader beside us may see a mixture; with Linux's own files it may, too.
        let written = file.write_all_at(&text, 0);
        let _ = written.and_then(|()| file.set_len(text.len() as u64));
    }
}
