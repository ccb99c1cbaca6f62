// SPDX-License-Identifier: GPL-2.0
//! Requests to mcctrl: typed calls on `/dev/mcosN`, and the descriptor that they go through. Hops 4a and 8a of
//! a delegated call are two of them.
//!
//! Program and mcexec share one table of descriptors. Ours sits at a high number and closes on
//! exec; [`crate::delegate`] keeps the program from it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::uapi::{
    self, AdoptProcess, ControlEvent, CopyData, CreateProcess, FileRange, ForwardSignal, IkcMap,
    MirrorPage, Query, StartProcess, WindowPart, MAX_IKC_PAIRS,
};
use ihk_ikc::view::VIEW_WORDS;
use ihk_ikc::ABI_VERSION;
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, FdFlag};
use nix::libc;
use nix::sys::resource::{getrlimit, setrlimit, Resource};

use crate::error::StartError;

/// The highest number that our descriptor gets. A larger table costs every fork memory.
const HIGHEST: u64 = 4096;
/// The lowest number that our descriptor gets. Below it the program would notice.
const LOWEST: RawFd = 3;

/// Our descriptor; -1 before [`open`].
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);

/// Returns our descriptor, which the program must not see.
#[must_use]
pub(crate) fn descriptor() -> RawFd {
    DESCRIPTOR.load(Ordering::Relaxed)
}

/// Opens instance `os` for this process.
///
/// # Errors
///
/// There is no such instance, or its modules have another version.
pub(crate) fn open(os: u32) -> Result<(), StartError> {
    let path = format!("/dev/mcos{os}");
    let what = format!("os {os}");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                StartError::cokernel(&what, "no such instance (see mcreboot)")
            }
            io::ErrorKind::PermissionDenied => StartError::cokernel(&what, "permission denied"),
            _ => StartError::cokernel(&what, error),
        })?;
    let moved = move_up(file.into()).map_err(|errno| StartError::cokernel(&what, errno.desc()))?;
    DESCRIPTOR.store(moved.into_raw_fd(), Ordering::Relaxed);
    match plain(uapi::GET_ABI_VERSION, 0) {
        Ok(ABI_VERSION) => Ok(()),
        Ok(theirs) => {
            let text = format!("ihk.ko speaks interface version {theirs}, mcexec {ABI_VERSION}");
            Err(StartError::cokernel(&what, text))
        }
        Err(errno) => Err(StartError::cokernel(&what, errno.desc())),
    }
}

/// Moves our descriptor away from number `wanted`, if it is there: the program is about to use the
/// number.
///
/// # Errors
///
/// No other number is free.
pub(crate) fn make_room(wanted: RawFd) -> Result<(), Errno> {
    let current = descriptor();
    if current != wanted {
        return Ok(());
    }
    // SAFETY: it stays open until `moved` has replaced it; nobody else owns it.
    let moved = move_up(unsafe { OwnedFd::from_raw_fd(current) })?;
    DESCRIPTOR.store(moved.into_raw_fd(), Ordering::Relaxed);
    Ok(())
}

/// Moves `from` to the highest free number, where it closes on exec. On failure `from` stays open.
///
/// # Errors
///
/// `EMFILE`.
pub(crate) fn move_up(from: OwnedFd) -> Result<OwnedFd, Errno> {
    let from = from.into_raw_fd();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let top = hard.min(HIGHEST);
    // A number beyond the soft limit may stay open but not be made.
    let raised = soft < top && setrlimit(Resource::RLIMIT_NOFILE, top, hard).is_ok();
    let top = RawFd::try_from(if raised { top } else { soft.min(top) }).unwrap_or(RawFd::MAX);
    let moved = (LOWEST..top)
        .rev()
        .find_map(|number| duplicate_to(from, number));
    if raised {
        // It was allowed a moment ago.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    let moved = moved.ok_or(Errno::EMFILE)?;
    // SAFETY: `from` was given to this function and has a duplicate now.
    drop(unsafe { OwnedFd::from_raw_fd(from) });
    Ok(moved)
}

/// Duplicates `from` as exactly `number`, if that is free.
fn duplicate_to(from: RawFd, number: RawFd) -> Option<OwnedFd> {
    // SAFETY: only looked at, for the duration of this call; the numbers may well be closed.
    let raw = |argument| unsafe { libc::fcntl(argument, libc::F_GETFD) };
    if raw(number) != -1 {
        return None;
    }
    // SAFETY: `from` is open: the callers own it.
    let source = unsafe { BorrowedFd::borrow_raw(from) };
    let copy = fcntl(source, FcntlArg::F_DUPFD_CLOEXEC(number)).ok()?;
    // SAFETY: just made, owned by nobody.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    (copy.as_raw_fd() == number).then_some(copy)
}

fn plain(number: u32, value: usize) -> Result<u32, Errno> {
    // SAFETY: by the contract `number` takes a plain value and touches no memory of ours.
    let result = unsafe { libc::ioctl(descriptor(), libc::Ioctl::from(number), value) };
    Errno::result(result).map(i32::cast_unsigned)
}

fn exchange<T: Copy>(number: u32, argument: &mut T) -> Result<(), Errno> {
    debug_assert_eq!(
        number >> 16 & 0x3fff,
        u32::try_from(size_of::<T>()).unwrap_or(0)
    );
    // SAFETY: by the contract `number` carries the size of its argument, T, all of whose bit
    // patterns are valid, and the kernel touches nothing else of ours.
    let result = unsafe {
        libc::ioctl(
            descriptor(),
            libc::Ioctl::from(number),
            std::ptr::from_mut(argument),
        )
    };
    Errno::result(result).map(drop)
}

/// Creates the process of this process's program and maps its window. Returns the address of its
/// slots.
///
/// # Errors
///
/// The errors are listed at [`uapi::CREATE_PROCESS`].
pub(crate) fn create(request: &mut CreateProcess) -> Result<u64, Errno> {
    exchange(uapi::CREATE_PROCESS, request)?;
    Ok(request.slots)
}

/// Makes this process stand for the child that the co-kernel has prepared as number
/// `prepared_child`, and maps its window. Returns the address of its slots.
///
/// # Errors
///
/// The errors are listed at [`uapi::ADOPT_PROCESS`].
pub(crate) fn adopt(prepared_child: u64) -> Result<u64, Errno> {
    let mut request = AdoptProcess {
        prepared_child,
        slots: 0,
    };
    exchange(uapi::ADOPT_PROCESS, &mut request)?;
    Ok(request.slots)
}

/// Runs an adopted program.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn start_adopted() -> Result<(), Errno> {
    plain(uapi::START_ADOPTED, 0).map(drop)
}

/// Sets whether our descriptor closes on exec. It does, unless mcexec executes itself.
///
/// # Errors
///
/// None can happen to an open descriptor.
pub(crate) fn set_close_on_exec(closes: bool) -> Result<(), Errno> {
    let flags = if closes {
        FdFlag::FD_CLOEXEC
    } else {
        FdFlag::empty()
    };
    // SAFETY: open since `open` or `take_over`, and nobody else's to close.
    let ours = unsafe { BorrowedFd::borrow_raw(descriptor()) };
    fcntl(ours, FcntlArg::F_SETFD(flags)).map(drop)
}

/// Takes over the descriptor that mcexec left open when it executed itself.
///
/// # Errors
///
/// `EBADF` if there is none, `EPROTO` if it is none of ours.
pub(crate) fn take_over(number: RawFd) -> Result<(), Errno> {
    if number < LOWEST {
        return Err(Errno::EBADF);
    }
    DESCRIPTOR.store(number, Ordering::Relaxed);
    if plain(uapi::GET_ABI_VERSION, 0)? != ABI_VERSION {
        return Err(Errno::EPROTO);
    }
    set_close_on_exec(true)
}

/// Runs the program.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn start(entry: u64, stack: u64) -> Result<(), Errno> {
    exchange(uapi::START, &mut StartProcess { entry, stack })
}

/// Sleeps until slot `index` has a request, at most for `limit` (of less than an hour).
///
/// # Errors
///
/// `EINTR`, `ETIMEDOUT`, or `ESHUTDOWN` if the instance died.
pub(crate) fn wait(index: usize, limit: Option<Duration>) -> Result<(), Errno> {
    let limit_us = limit.map_or(0, |limit| limit.as_micros().clamp(1, u32::MAX.into()));
    let wait = uapi::Wait {
        slot: u32::try_from(index).map_err(|_| Errno::EINVAL)?,
        limit_us: u32::try_from(limit_us).unwrap_or(u32::MAX),
    };
    let argument = usize::try_from(wait.argument()).map_err(|_| Errno::EINVAL)?;
    plain(uapi::WAIT, argument).map(drop)
}

/// Tells the co-kernel that slot `index` has an answer.
///
/// # Errors
///
/// The instance died.
pub(crate) fn ring(index: usize) -> Result<(), Errno> {
    plain(uapi::RING, index).map(drop)
}

/// Binds a file to part of the program's memory: its pages come now, or as far as possible when they are
/// touched.
///
/// # Errors
///
/// The errors are listed at [`uapi::BIND_FILE`].
pub(crate) fn bind_file(
    fd: RawFd,
    file_offset: u64,
    address: u64,
    bytes: u64,
    at_once: bool,
) -> Result<(), Errno> {
    let order = FileRange {
        fd,
        detail: at_once.into(),
        file_offset,
        address,
        bytes,
    };
    read_file(uapi::BIND_FILE, order)
}

/// Loads pages of file number `file`, because page `touched` was touched.
///
/// # Errors
///
/// The errors are listed at [`uapi::LOAD_PAGES`].
pub(crate) fn load_pages(
    file: i32,
    page: u64,
    address: u64,
    pages: u64,
    touched: u32,
) -> Result<(), Errno> {
    let order = FileRange {
        fd: file,
        detail: touched,
        file_offset: page.saturating_mul(PAGE_BYTES),
        address,
        bytes: pages.saturating_mul(PAGE_BYTES),
    };
    read_file(uapi::LOAD_PAGES, order)
}

/// Copies from or to the program's memory at `address`, or finds out whether it could: `what` is
/// one of [`uapi::copy`].
///
/// # Errors
///
/// The errors are listed at [`uapi::COPY`].
pub(crate) fn copy(what: u32, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
    exchange(
        uapi::COPY,
        &mut CopyData {
            address,
            buffer: buffer.as_mut_ptr().expose_provenance() as u64,
            bytes: buffer.len() as u64,
            what,
            reserved: 0,
        },
    )
}

fn read_file(number: u32, mut order: FileRange) -> Result<(), Errno> {
    exchange(number, &mut order)
}

/// Shows the program the page that this process has at `address`; `write` is 1 if it is written.
///
/// # Errors
///
/// The errors are listed at [`uapi::MIRROR`].
pub(crate) fn mirror(address: u64, write: u64) -> Result<(), Errno> {
    exchange(
        uapi::MIRROR,
        &mut MirrorPage {
            address,
            write: u32::try_from(write).map_err(|_| Errno::EINVAL)?,
            reserved: 0,
        },
    )
}

/// Maps the window again in a part where something else is mapped.
///
/// # Errors
///
/// The errors are listed at [`uapi::MAP_WINDOW`]; `ENOMEM` is another.
pub(crate) fn map_window(start: u64, bytes: u64) -> Result<(), Errno> {
    exchange(uapi::MAP_WINDOW, &mut WindowPart { start, bytes })
}

/// Returns for each core which Linux CPU serves it, plus 1; 0 stands for any.
///
/// # Errors
///
/// The instance is gone.
pub(crate) fn servers() -> Result<Vec<u16>, Errno> {
    let mut map = IkcMap {
        linux_cpu: [0; MAX_IKC_PAIRS],
    };
    exchange(uapi::GET_IKC_MAP, &mut map)?;
    Ok(map.linux_cpu.to_vec())
}

/// Sleeps until something concerns the whole process.
///
/// # Errors
///
/// `EINTR`, or the instance died.
pub(crate) fn control_wait() -> Result<ControlEvent, Errno> {
    let mut event = ControlEvent::default();
    exchange(uapi::CONTROL_WAIT, &mut event)?;
    Ok(event)
}

/// Asks the co-kernel question `what` about process `pid` (0 is the own one). Returns its records
/// from number `from` on.
///
/// # Errors
///
/// The errors are listed at [`uapi::QUERY`].
pub(crate) fn query(pid: i32, what: u32, from: u64) -> Result<Vec<u64>, Errno> {
    let mut records = vec![0_u64; VIEW_WORDS];
    let mut query = Query {
        pid,
        what,
        from,
        buffer: records.as_mut_ptr().expose_provenance() as u64,
        words: 0,
    };
    exchange(uapi::QUERY, &mut query)?;
    records.truncate(usize::try_from(query.words).map_err(|_| Errno::EPROTO)?);
    Ok(records)
}

/// Tells that this process has written a core and dies of `signal`. Returns only if it cannot be
/// told.
pub(crate) fn core_written(signal: i32) {
    if let Ok(signal) = usize::try_from(signal) {
        // On any error the caller does the same: it dies of the signal itself.
        let _ = plain(uapi::CORE_WRITTEN, signal);
    }
}

/// Delivers a signal to the program. May be called from a signal handler.
///
/// # Errors
///
/// `EAGAIN` if the way is jammed, or the instance died.
pub(crate) fn forward_signal(mut signal: ForwardSignal) -> Result<(), Errno> {
    exchange(uapi::SIGNAL, &mut signal)
}
