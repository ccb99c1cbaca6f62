// SPDX-License-Identifier: GPL-2.0
//! ioctls of `/dev/mcosN` that mcctrl serves: programs run.

use super::super::process::{ProcessImage, RLIMITS};
use super::{both, ioctls, none, read, write};

/// First number of mcctrl's ioctls: ihk.ko passes everything from here on to the service.
pub const SERVICE_FIRST: u32 = 0x60;

/// Argument and answer of [`CREATE_PROCESS`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CreateProcess {
    /// In: the program.
    pub image: ProcessImage,
    /// Out: address of the shared pages, slots first.
    pub slots: u64,
}

/// File offset, in the window's file, of the first slot page: behind the window.
pub const SLOTS_OFFSET: u64 = 0x8000_0000_0000;

/// Argument of [`START`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartProcess {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
}

/// Argument of [`WAIT`]: the slot's index in the lower half, how long to sleep at most in the upper one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Index of the slot.
    pub slot: u32,
    /// At most so many microseconds; 0: for ever.
    pub limit_us: u32,
}

impl Wait {
    /// As it is passed.
    #[must_use]
    pub const fn argument(self) -> u64 {
        (self.limit_us as u64) << 32 | self.slot as u64
    }

    /// The argument that was passed.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub const fn of_argument(argument: u64) -> Self {
        Self {
            slot: argument as u32,
            limit_us: (argument >> 32) as u32,
        }
    }
}

/// Argument of [`BIND_FILE`] and [`LOAD_PAGES`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct FileRange {
    /// Descriptor to read from; for [`LOAD_PAGES`], number of a file that is mapped.
    pub fd: i32,
    /// [`BIND_FILE`]: 1 if all pages must come at once. [`LOAD_PAGES`]: which page was touched, from 0 on.
    pub detail: u32,
    /// Offset in the file.
    pub file_offset: u64,
    /// Address in the program; like the offset, a multiple of the page size.
    pub address: u64,
    /// Bytes. What a page has behind them is zero; pages past the end of the file stay away.
    pub bytes: u64,
}

/// Argument of [`COPY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyData {
    /// Address in the program, any.
    pub address: u64,
    /// Address in the caller; of no meaning to [`copy::LOOK`].
    pub buffer: u64,
    /// Length.
    pub bytes: u64,
    /// One of [`copy`].
    pub what: u32,
    /// 0.
    pub reserved: u32,
}

/// The kinds of [`COPY`].
pub mod copy {
    /// Copy to memory that the program may write.
    pub const TO_PROGRAM: u32 = 0;
    /// Copy from memory that the program may read.
    pub const FROM_PROGRAM: u32 = 1;
    /// Only find out whether [`TO_PROGRAM`] would.
    pub const LOOK: u32 = 2;
    /// Most bytes of an order.
    pub const MOST_BYTES: u64 = 16 << 20;
}

/// The event that [`CONTROL_WAIT`] tells the control thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlEvent {
    /// One of [`event`].
    pub kind: u32,
    /// Its subject.
    pub value: u32,
}

/// Kinds of [`ControlEvent`].
pub mod event {
    /// The instance is gone (panic, hang, shutdown): the program cannot go on.
    pub const INSTANCE_GONE: u32 = 1;
    /// The worker of slot `value` shall interrupt the call it performs, if that is still cancelled.
    pub const CANCEL: u32 = 2;
}

/// Argument of [`SIGNAL`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardSignal {
    /// Signal number.
    pub signal: u32,
    /// si_code.
    pub code: i32,
    /// si_pid.
    pub pid: u32,
    /// si_uid.
    pub uid: u32,
    /// si_value.
    pub value: u64,
    /// 0 = the process, else slot index + 1 of the thread.
    pub thread: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Answer of [`ADOPT_PROCESS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct AdoptProcess {
    /// Out: address of its own shared pages.
    pub slots: u64,
}

/// Argument and answer of [`QUERY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Query {
    /// In: process id, 0 = the caller's.
    pub pid: i32,
    /// In: one of [`super::super::view::what`].
    pub what: u32,
    /// In: number of the first record wanted.
    pub from: u64,
    /// In: user address of room for [`super::super::view::VIEW_WORDS`] words.
    pub buffer: u64,
    /// Out: words that were written there.
    pub words: u64,
}

/// Argument of [`MIRROR`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MirrorPage {
    /// Address of the page.
    pub address: u64,
    /// 1 if the program writes it.
    pub write: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Argument of [`MAP_WINDOW`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowPart {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Argument of [`EXECUTE`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Execute {
    /// The limits that the co-kernel keeps, soft and hard, by Linux's number.
    pub limits: [[u64; 2]; RLIMITS],
    /// Bit n: limit n is one of those.
    pub kept: u64,
    /// The CPU that the program is to start on, or −1.
    pub cpu: i32,
    /// Always 0.
    pub reserved: u32,
}

/// Answer of [`CARRIED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// Number of the instance.
    pub os: u32,
    /// Descriptor of the program's file, open for reading whoever may read it; close-on-exec.
    pub program: i32,
    /// As announced.
    pub announced: Execute,
}

/// Argument of [`PERMIT`]: the question of a thread, as the co-kernel has given it to its worker.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Permit {
    /// Index of the thread's slot.
    pub slot: u32,
    /// One of [`super::super::process::right`].
    pub what: u32,
    /// The capability or limit.
    pub number: u32,
    /// The process or thread, as the caller names it; 0 = the caller.
    pub id: i32,
    /// The soft limit that is wanted.
    pub soft: u64,
    /// The hard one.
    pub hard: u64,
}

ioctls! { PROGRAMS_IOCTLS:
    /// Create the calling process's program. EBUSY if it has one, ESRCH if no co-kernel runs, EPROTO
    /// on version mismatch, ENOMEM if the partition is too small or Linux has no room for the window, EINVAL
    /// for a malformed image, EEXIST if something of the caller's but its vdso lies in the window.
    ///
    /// The window is mapped then, readable and writable, from `window_start` to
    /// [`super::super::layout::WINDOW_END`] except where the caller's vdso lies, and so are all
    /// [`super::super::slot::SHARED_PAGES`] shared pages, somewhere above. Pages of slots after the first may
    /// be touched when [`super::super::process::op::NEW_WORKER`] has named a slot there, bounce pages while a
    /// [`super::super::process::op::BOUNCE`] is performed. Finite limits of the caller's address space, soft
    /// and hard, that are below [`super::super::layout::WINDOW_END`] have been raised by so many bytes.
    pub const CREATE_PROCESS: u32 = both::<CreateProcess>(0x60);
    /// Run the program; the caller becomes the worker of slot 0.
    pub const START: u32 = write::<StartProcess>(0x61);
    /// Argument = [`Wait`]. Sleep until that slot's ASLEEP flag is cleared by a request, or EINTR. ETIMEDOUT if
    /// that took too long, ESHUTDOWN if the instance died.
    pub const WAIT: u32 = none(0x62);
    /// Argument = slot index. Tell the co-kernel that this slot's answer is there (it set WAITER).
    pub const RING: u32 = none(0x63);
    /// Bind a file to part of the window: the program's pages there have the file's content, whatever rights
    /// it has; for executables and private file mappings. Pages come when they are touched, unless that is not possible or not
    /// wanted, and are the same for all processes as long as the file does not change.
    /// EINVAL outside the window or if misaligned, EFAULT where the program may have no page of a file,
    /// EACCES if the descriptor is not open for reading, ENODEV for what is no regular file, ENOMEM.
    pub const BIND_FILE: u32 = write::<FileRange>(0x64);
    /// Sleep until something concerns the whole process. While a thread sleeps here, mcctrl sees
    /// SIGKILL and stops at once and tells the co-kernel. EINTR otherwise.
    pub const CONTROL_WAIT: u32 = read::<ControlEvent>(0x65);
    /// Deliver a signal that mcexec received to the program.
    pub const SIGNAL: u32 = write::<ForwardSignal>(0x66);
    /// For measuring: copy between the caller and memory that the program has, mapping nothing. EINVAL
    /// outside the window, EFAULT where the program has no such memory at the moment or the caller has
    /// none; part may have been copied.
    pub const COPY: u32 = write::<CopyData>(0x67);
    /// Load pages that were touched, as far as none are there; see
    /// [`super::super::process::op::LOAD_PAGES`]. EINVAL, ENOMEM as [`BIND_FILE`]; EFAULT: the file ends before, or
    /// is not what is mapped there.
    pub const LOAD_PAGES: u32 = write::<FileRange>(0x68);
    /// The caller, a child of a proxy, stands for the process that was announced when it was forked
    /// ([`ANNOUNCE_FORK`]). The window is mapped wherever it has inherited nothing: it has its parent's files in it.
    /// Through the gate only. Errors as for [`CREATE_PROCESS`]; EPERM if nothing was announced, or it has adopted
    /// already, ESRCH if the parent has gone.
    pub const ADOPT_PROCESS: u32 = read::<AdoptProcess>(0x70);
    /// Run an adopted process; the caller becomes the worker of slot 0.
    pub const START_ADOPTED: u32 = none(0x71);
    /// Ask the co-kernel for records of a process or of itself. ESRCH if it has no such process, EPERM
    /// if it is somebody else's, EINVAL for an unknown question. Questions about the co-kernel itself
    /// may be asked without a program, too.
    pub const QUERY: u32 = both::<Query>(0x78);
    /// Argument = signal. The caller's process has written a core and dies of that signal, as if Linux had
    /// written the core. EINVAL for what is no signal; comes back only then.
    pub const CORE_WRITTEN: u32 = none(0x79);
    /// Show the program the page that the caller has mapped at an address of the window, and neighbours
    /// that are there, until Linux changes its mapping. EFAULT: there is none; EAGAIN: it changes all
    /// the time.
    pub const MIRROR: u32 = write::<MirrorPage>(0x80);
    /// Part of the caller's window, where it had mapped something else, is the window again.
    pub const MAP_WINDOW: u32 = write::<WindowPart>(0x81);
    /// The calling process gets a gate to this instance ([`super::gate`]). ESRCH if no co-kernel runs, EEXIST if it has
    /// one. By descriptor only, of course.
    pub const MAP_GATE: u32 = none(0x82);
    /// As [`super::GET_IKC_MAP`], through the gate.
    pub const SERVERS: u32 = read::<super::IkcMap>(0x83);
    /// Descriptor argument: this file is the mcexec that runs what programs execute. For the administrator.
    pub const SET_MCEXEC: u32 = none(0x84);
    /// The calling thread is about to execute a program, which is to run in this instance: until [`WITHDRAW`],
    /// `execve` of a program's file has Linux load mcexec, for which [`CARRIED`] has an answer then. Its errors
    /// are those of Linux; 524 stands for what runs nowhere but on Linux.
    pub const EXECUTE: u32 = write::<Execute>(0x85);
    /// It has not happened.
    pub const WITHDRAW: u32 = none(0x86);
    /// What a thread has announced before it executed the caller, which has not started its program yet. ENOENT
    /// if it was started otherwise, EMFILE.
    pub const CARRIED: u32 = read::<Carried>(0x87);
    /// The calling thread is about to fork. Argument: argument 0 of its [`super::super::process::op::FORK`], or 0
    /// if it has not come to that. Through the gate only.
    pub const ANNOUNCE_FORK: u32 = none(0x88);
    /// Argument = descriptor. The caller's program is that file: `/proc/PID/exe` leads there, and nobody can write
    /// it until the process and its children have ended. Linux does this for what is executed ([`CARRIED`]).
    /// EBADF; EACCES if the caller may not execute it; ETXTBSY if it is being written.
    pub const EXECUTABLE: u32 = none(0x89);
    /// Argument = thread id. Tell the co-kernel how that worker is scheduled, of whatever program, by Linux's
    /// own word. ESRCH if it is none.
    pub const SCHEDULING: u32 = none(0x8a);
    /// If the caller's credentials permit that, the co-kernel is told so. EPERM if not, ESRCH if there is nobody of
    /// that id or the co-kernel has not asked that, EINVAL for what makes no sense.
    pub const PERMIT: u32 = write::<Permit>(0x8b);
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Permit>() == 32);
    assert!(SLOTS_OFFSET >= super::super::layout::WINDOW_END);
    assert!(size_of::<Execute>() == 272);
    assert!(size_of::<Carried>() == 280);
    assert!(size_of::<CreateProcess>() == 1136);
    assert!(size_of::<FileRange>() == 32);
    assert!(size_of::<CopyData>() == 32);
    assert!(size_of::<ForwardSignal>() == 32);
    assert!(size_of::<AdoptProcess>() == 8);
    assert!(size_of::<Query>() == 32);
    assert!(size_of::<MirrorPage>() == 16);
    let wait = Wait {
        slot: 1023,
        limit_us: u32::MAX,
    };
    assert!(matches!(
        Wait::of_argument(wait.argument()),
        Wait {
            slot: 1023,
            limit_us: u32::MAX
        }
    ));
};
