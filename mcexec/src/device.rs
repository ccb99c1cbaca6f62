// SPDX-License-Identifier: GPL-2.0
//! Requests to mcctrl: typed calls on `/dev/mcosN`, and the descriptor that they go through. Hops 4a and 8a of
//! a delegated call are two of them.
//!
//! Program and mcexec share one table of descriptors. Ours sits at a high number and closes on
//! exec; [`crate::delegate`] keeps the program from it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::uapi::{
    self, AdoptProcess, Carried, ControlEvent, CopyData, CreateProcess, Execute, FileRange,
    ForwardSignal, IkcMap, MirrorPage, Permit, Query, StartProcess, WindowPart, MAX_IKC_PAIRS,
};
use ihk_ikc::view::VIEW_WORDS;
use ihk_ikc::ABI_VERSION;
use nix::errno::Errno;
use nix::libc;

use crate::error::StartError;
use crate::gate;

/// Opens the gate to instance `os` for this process.
///
/// # Errors
///
/// There is no such instance, it runs no co-kernel, or its modules have another version.
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
            _ => StartError::of_linux(
                &what,
                Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)),
            ),
        })?;
    match version(&file) {
        Ok(ABI_VERSION) => {}
        Ok(theirs) => {
            let text = format!("ihk.ko speaks interface version {theirs}, mcexec {ABI_VERSION}");
            return Err(StartError::cokernel(&what, text));
        }
        Err(errno) => return Err(StartError::cokernel(&what, errno.desc())),
    }
    gate::open(&file).map_err(|errno| StartError::cokernel(&what, reason(errno)))
}

fn version(device: &File) -> Result<u32, Errno> {
    let command = libc::Ioctl::from(uapi::GET_ABI_VERSION);
    // SAFETY: by the contract the command takes a plain value and touches no memory of ours.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), command, 0) };
    Errno::result(result).map(i32::cast_unsigned)
}

/// Returns what an error of an instance means that has no program of this process yet.
pub(crate) fn reason(errno: Errno) -> &'static str {
    match errno {
        Errno::ESRCH | Errno::ENODEV | Errno::ENOTTY | Errno::ESHUTDOWN => {
            "no co-kernel runs there (see mcreboot)"
        }
        Errno::EPROTO => "interface versions of mcexec and mcctrl.ko differ",
        _ => errno.desc(),
    }
}

fn plain(number: u32, value: u64) -> Result<(), Errno> {
    // SAFETY: by the contract `number` takes a plain value and touches no memory of ours.
    unsafe { gate::call(number, value) }
}

fn exchange<T: Copy>(number: u32, argument: &mut T) -> Result<(), Errno> {
    debug_assert_eq!(
        number >> 16 & 0x3fff,
        u32::try_from(size_of::<T>()).unwrap_or(0)
    );
    let argument = std::ptr::from_mut(argument).expose_provenance() as u64;
    // SAFETY: by the contract `number` carries the size of its argument, T, all of whose bit
    // patterns are valid, and the kernel touches nothing else of ours.
    unsafe { gate::call(number, argument) }
}

/// Returns what the mcexec before has announced that executed this one, and the program's file.
///
/// # Errors
///
/// `EMFILE`.
pub(crate) fn carried() -> Result<(Carried, File), Errno> {
    let mut carried = Carried::default();
    exchange(uapi::CARRIED, &mut carried)?;
    if carried.program < 0 {
        return Err(Errno::EPROTO);
    }
    // SAFETY: by the contract a new descriptor for us alone.
    let program = unsafe { OwnedFd::from_raw_fd(carried.program) };
    Ok((carried, program.into()))
}

/// The program of this process is `file`.
///
/// # Errors
///
/// The errors are listed at [`uapi::EXECUTABLE`].
pub(crate) fn set_executable(file: &File) -> Result<(), Errno> {
    let descriptor = file.as_raw_fd().cast_unsigned();
    plain(uapi::EXECUTABLE, descriptor.into())
}

/// Announces that this thread executes a program now.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn announce_execution(mut execution: Execute) -> Result<(), Errno> {
    exchange(uapi::EXECUTE, &mut execution)
}

/// It has not come to that.
pub(crate) fn withdraw_execution() {
    // An error means that the co-kernel is gone, and with it the announcement.
    let _ = plain(uapi::WITHDRAW, 0);
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

/// Announces that this thread forks for the child that the co-kernel has prepared as number
/// `prepared_child`; 0: it has not come to that.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn announce_fork(prepared_child: u64) -> Result<(), Errno> {
    plain(uapi::ANNOUNCE_FORK, prepared_child)
}

/// Makes this process stand for the child that was announced when it was forked, and maps its window.
/// Returns the address of its slots.
///
/// # Errors
///
/// The errors are listed at [`uapi::ADOPT_PROCESS`].
pub(crate) fn adopt() -> Result<u64, Errno> {
    let mut request = AdoptProcess::default();
    exchange(uapi::ADOPT_PROCESS, &mut request)?;
    Ok(request.slots)
}

/// Runs an adopted program.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn start_adopted() -> Result<(), Errno> {
    plain(uapi::START_ADOPTED, 0)
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
    plain(uapi::WAIT, wait.argument())
}

/// Tells the co-kernel that slot `index` has an answer.
///
/// # Errors
///
/// The instance died.
pub(crate) fn ring(index: usize) -> Result<(), Errno> {
    plain(uapi::RING, index as u64)
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

/// Tells the co-kernel how worker `tid` is scheduled.
///
/// # Errors
///
/// The errors are listed at [`uapi::SCHEDULING`].
pub(crate) fn tell_scheduling(tid: u64) -> Result<(), Errno> {
    plain(uapi::SCHEDULING, tid)
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
    exchange(uapi::SERVERS, &mut map)?;
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
    if let Ok(signal) = u64::try_from(signal) {
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

/// Passes a question about this thread's rights on to Linux's kernel, which tells the co-kernel the answer.
///
/// # Errors
///
/// It is not permitted, or makes no sense.
pub(crate) fn permit([slot, what, number, id, soft, hard]: [u64; 6]) -> Result<(), Errno> {
    let word = |word| u32::try_from(word).map_err(|_| Errno::EINVAL);
    let mut question = Permit {
        slot: word(slot)?,
        what: word(what)?,
        number: word(number)?,
        id: word(id)?.cast_signed(),
        soft,
        hard,
    };
    exchange(uapi::PERMIT, &mut question)
}
