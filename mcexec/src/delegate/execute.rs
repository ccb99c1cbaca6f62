// SPDX-License-Identifier: GPL-2.0
//! `execve`: this process becomes an mcexec for another program.
//!
//! The new program is found and checked first, so that every error can still be answered. Then
//! mcexec executes itself. So Linux closes descriptors, ends the other threads, and resets signals
//! and timers, and the new mcexec starts the program as if a shell had told it to.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::execve;

use super::{placement, Program};
use crate::device;
use crate::signals::raw;
use crate::start::inherited;
use crate::start::prepare::{prepare, Inheritance};
use crate::start::program_text::Text;
use crate::start::resume::Resume;

/// Longest path, with its end.
const PATH_BYTES: usize = 4096;
/// Longest argument or environment entry, with its end.
const ENTRY_BYTES: usize = 32 * 4096;
/// Most bytes of all of them.
const ALL_BYTES: usize = 6 << 20;

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
pub(super) fn execute(program: &Program, args: [u64; 6]) -> Result<(), Errno> {
    let [directory, path, argv, environment, flags, mask] = args;
    let mut text = Text::new();
    let path = locate(directory, &text.string(path, PATH_BYTES)?, flags)?;
    let mut room = ALL_BYTES;
    let argv = list(&mut text, argv, &mut room)?;
    let mut environment = list(&mut text, environment, &mut room)?;
    check(&path, &argv, &environment)?;
    let resume = Resume {
        os: program.os,
        device: device::descriptor(),
        limits: inherited::kept_limits(),
        path,
    };
    environment.push(resume.entry().ok_or(Errno::ENOENT)?);
    device::set_close_on_exec(false)?;
    let before = raw::set_mask(mask);
    let waiting = WAITING.swap(0, Ordering::Relaxed) & mask;
    raw::make_wait(waiting);
    let failed = placement::without(|| execve(c"/proc/self/exe", &argv, &environment));
    raw::take_back(waiting);
    raw::set_mask(before);
    device::set_close_on_exec(true)?;
    failed.map(|never| match never {})
}

/// Reads the strings of the null-terminated array at `address`; address 0 is an empty array. Takes
/// the bytes that they need off `room`.
fn list(text: &mut Text, address: u64, room: &mut usize) -> Result<Vec<CString>, Errno> {
    let mut strings = Vec::new();
    if address == 0 {
        return Ok(strings);
    }
    let mut at = address;
    loop {
        let pointer = text.word(at)?;
        if pointer == 0 {
            break;
        }
        let string = text
            .string(pointer, ENTRY_BYTES)
            .map_err(|errno| match errno {
                Errno::ENAMETOOLONG => Errno::E2BIG,
                other => other,
            })?;
        let bytes = string.as_bytes_with_nul().len() + size_of::<u64>();
        *room = room.checked_sub(bytes).ok_or(Errno::E2BIG)?;
        strings.push(string);
        at = at.checked_add(8).ok_or(Errno::EFAULT)?;
    }
    Ok(strings)
}

/// Returns the path of the file that is to be executed, by the rules of execveat(2).
fn locate(directory: u64, path: &CString, flags: u64) -> Result<PathBuf, Errno> {
    let empty_allowed = libc::AT_EMPTY_PATH.cast_unsigned();
    let no_follow = libc::AT_SYMLINK_NOFOLLOW.cast_unsigned();
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    if flags & !(empty_allowed | no_follow) != 0 {
        return Err(Errno::EINVAL);
    }
    #[expect(clippy::cast_possible_truncation, reason = "an int in Linux")]
    let directory = (directory as u32).cast_signed();
    let name = Path::new(OsStr::from_bytes(path.to_bytes()));
    let found = if name.is_absolute() || directory == libc::AT_FDCWD && !name.as_os_str().is_empty()
    {
        name.to_owned()
    } else if name.as_os_str().is_empty() {
        if flags & empty_allowed == 0 || directory == libc::AT_FDCWD {
            return Err(Errno::ENOENT);
        }
        open_file(directory)?
    } else {
        open_file(directory)?.join(name)
    };
    let is_link = found
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_symlink());
    if flags & no_follow != 0 && is_link {
        return Err(Errno::ELOOP);
    }
    Ok(found)
}

/// Returns a path of the file that descriptor `fd` refers to, if possible one that outlives the
/// descriptor.
fn open_file(fd: i32) -> Result<PathBuf, Errno> {
    let link = PathBuf::from(format!("/proc/self/fd/{fd}"));
    if fd == device::descriptor() {
        return Err(Errno::EBADF);
    }
    let path = link.read_link().map_err(|_| Errno::EBADF)?;
    Ok(if path.exists() { path } else { link })
}

/// Finds out whether mcexec will be able to start the program.
fn check(path: &Path, argv: &[CString], environment: &[CString]) -> Result<(), Errno> {
    let mut limits = inherited::limits();
    for (limit, kept) in limits.iter_mut().zip(inherited::kept_limits()) {
        *limit = kept.unwrap_or(*limit);
    }
    let mut argv: Vec<_> = argv
        .iter()
        .map(|text| OsStr::from_bytes(text.to_bytes()).to_owned())
        .collect();
    if argv.is_empty() {
        // Linux does the same.
        argv.push(OsStr::new("").to_owned());
    }
    let inheritance = Inheritance {
        environment: environment.to_vec(),
        ignored_signals: 0,
        blocked_signals: 0,
        limits,
    };
    prepare(Some(path), &argv, &inheritance)
        .map(drop)
        .map_err(|error| error.errno)
}
