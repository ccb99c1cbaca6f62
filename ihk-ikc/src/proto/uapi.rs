// SPDX-License-Identifier: GPL-2.0
//! ioctl numbers and arguments of `/dev/mcd0` and `/dev/mcosN`.
//!
//! No argument carries a physical or kernel address. Every structure is plain data of fixed size;
//! `version` fields must hold [`super::ABI_VERSION`], else `EPROTO`.

use super::layout::MAX_NODES;

/// ioctl type byte of all our devices.
const TYPE: u32 = b'k' as u32;

const fn number(direction: u32, nr: u32, bytes: usize) -> u32 {
    assert!(bytes < 1 << 14);
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    let bytes = bytes as u32;
    direction << 30 | bytes << 16 | TYPE << 8 | nr
}
/// An ioctl without argument.
const fn none(nr: u32) -> u32 {
    number(0, nr, 0)
}
/// An ioctl whose argument user space writes.
const fn write<T>(nr: u32) -> u32 {
    number(1, nr, size_of::<T>())
}
/// An ioctl whose argument the kernel writes.
const fn read<T>(nr: u32) -> u32 {
    number(2, nr, size_of::<T>())
}
/// An ioctl whose argument goes both ways.
const fn both<T>(nr: u32) -> u32 {
    number(3, nr, size_of::<T>())
}

/// A set of CPUs: bit n of word n / 64.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuSet {
    /// The bits.
    pub words: [u64; 8],
}

/// Bytes per NUMA node; 0 = none there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySpec {
    /// Indexed by node; multiples of 2 MiB.
    pub bytes: [u64; MAX_NODES],
}

impl Default for MemorySpec {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_NODES],
        }
    }
}

/// One segment of a co-kernel image.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageSegment {
    /// Where its bytes begin in the file.
    pub file_offset: u64,
    /// How many bytes come from the file.
    pub file_bytes: u64,
    /// Where it runs, at or above [`super::layout::IMAGE_BASE`].
    pub virtual_address: u64,
    /// Its size in memory; the rest is zero.
    pub memory_bytes: u64,
}

/// Most segments of an image.
pub const MAX_SEGMENTS: usize = 8;
/// Bytes of a build id, NUL-padded.
pub const BUILD_ID_BYTES: usize = 64;

/// Argument of [`LOAD`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LoadImage {
    /// [`super::ABI_VERSION`] of the tool.
    pub version: u32,
    /// Valid entries of `segments`.
    pub segment_count: u32,
    /// User address of the whole file.
    pub file: u64,
    /// Its length in bytes.
    pub file_bytes: u64,
    /// Entry point.
    pub entry: u64,
    /// Printable build id of the image.
    pub build_id: [u8; BUILD_ID_BYTES],
    /// The segments, ascending and disjoint.
    pub segments: [ImageSegment; MAX_SEGMENTS],
}

/// Argument of [`SET_KARGS`]; also of queries that return text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Valid bytes.
    pub bytes: u32,
    /// Always 0.
    pub reserved: u32,
    /// UTF-8.
    pub text: [u8; 1024],
}

/// Argument of [`SHUTDOWN`] and [`DESTROY_OS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOptions {
    /// Instance number ([`DESTROY_OS`] only).
    pub os: u32,
    /// 1: even if programs run.
    pub force: u32,
}

/// Status words of an instance, as `ihkosctl get status` prints them.
pub mod status {
    /// Created, not booted.
    pub const INACTIVE: u32 = 0;
    /// Between the boot ioctl and RUNNING.
    pub const BOOTING: u32 = 1;
    /// Up.
    pub const RUNNING: u32 = 2;
    /// Shut down in an orderly way; may be booted again.
    pub const SHUTDOWN: u32 = 3;
    /// The co-kernel panicked; kmsg has the report.
    pub const PANIC: u32 = 4;
    /// A CPU did not answer within a second; its cores were reset.
    pub const HUNGUP: u32 = 5;
}

/// What the co-kernel has of a node's memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NodeUsage {
    /// Frames it manages; 0: it has nothing there.
    pub frames_total: u64,
    /// Of these, free.
    pub frames_free: u64,
    /// Aligned blocks of 2 MiB that are wholly free.
    pub blocks_free: u64,
}

/// Answer of [`QUERY_USAGE`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Frames the co-kernel manages.
    pub frames_total: u64,
    /// Of these, free.
    pub frames_free: u64,
    /// Of these, pinned by Linux.
    pub frames_pinned: u64,
    /// Processes.
    pub processes: u64,
    /// Threads.
    pub threads: u64,
    /// Delegation slots in use.
    pub slots: u64,
    /// Valid entries of `interrupts`.
    pub cpu_count: u64,
    /// Interrupts since boot, per co-kernel CPU.
    pub interrupts: [u64; super::layout::MAX_CPUS],
    /// By node.
    pub nodes: [NodeUsage; MAX_NODES],
    /// Frames that are free, but no node's: kept for the next thread.
    pub frames_set_aside: u64,
}

/// Argument of [`READ_KMSG`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadKmsg {
    /// In: number of the first byte wanted (bytes since boot). Out: number of the first byte
    /// returned (later if the ring has overwritten it).
    pub from: u64,
    /// User address of the buffer.
    pub buffer: u64,
    /// In: its length. Out: bytes returned.
    pub bytes: u64,
}

/// Argument of [`READ_MEMORY`]: a dump reads the partition range by range.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadMemory {
    /// Offset into the concatenated memory ranges of the instance, bytes.
    pub offset: u64,
    /// User address of the buffer.
    pub buffer: u64,
    /// In: its length. Out: bytes returned; 0 = end.
    pub bytes: u64,
}

/// Most pairs of an [`IkcMap`].
pub const MAX_IKC_PAIRS: usize = 256;

/// Which Linux CPU serves which co-kernel CPU: index = co-kernel CPU, value = Linux CPU + 1,
/// 0 = no preference.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IkcMap {
    /// See above.
    pub linux_cpu: [u16; MAX_IKC_PAIRS],
}

// ---- /dev/mcd0 (root) ----

/// Returns [`super::ABI_VERSION`] of ihk.ko; on both devices.
pub const GET_ABI_VERSION: u32 = none(0x10);
/// Take CPUs from Linux: all of the set or none.
pub const RESERVE_CPU: u32 = write::<CpuSet>(0x11);
/// Give reserved, unassigned CPUs back; they are online when it returns.
pub const RELEASE_CPU: u32 = write::<CpuSet>(0x12);
/// Reserved and not assigned.
pub const QUERY_CPU: u32 = read::<CpuSet>(0x13);
/// Take memory from Linux: all or nothing.
pub const RESERVE_MEMORY: u32 = write::<MemorySpec>(0x14);
/// Give reserved, unassigned memory back.
pub const RELEASE_MEMORY: u32 = write::<MemorySpec>(0x15);
/// Reserved and not assigned.
pub const QUERY_MEMORY: u32 = read::<MemorySpec>(0x16);
/// Create an instance; returns its number, the lowest free.
pub const CREATE_OS: u32 = none(0x17);
/// Destroy an instance: what it held is reserved again.
pub const DESTROY_OS: u32 = write::<StopOptions>(0x18);
/// Bit set of existing instances.
pub const GET_OS_INSTANCES: u32 = read::<u64>(0x19);

// ---- /dev/mcosN, steering (CAP_SYS_ADMIN) ----

/// Reserved CPUs become this instance's, in ascending order after those it has.
pub const ASSIGN_CPU: u32 = write::<CpuSet>(0x20);
/// Back to reserved.
pub const UNASSIGN_CPU: u32 = write::<CpuSet>(0x21);
/// Assigned CPUs.
pub const QUERY_OS_CPU: u32 = read::<CpuSet>(0x22);
/// Reserved memory becomes this instance's.
pub const ASSIGN_MEMORY: u32 = write::<MemorySpec>(0x23);
/// Back to reserved.
pub const UNASSIGN_MEMORY: u32 = write::<MemorySpec>(0x24);
/// Assigned memory.
pub const QUERY_OS_MEMORY: u32 = read::<MemorySpec>(0x25);
/// Keep this image for the next boot.
pub const LOAD: u32 = write::<LoadImage>(0x26);
/// Boot arguments for the next boot.
pub const SET_KARGS: u32 = write::<Text>(0x27);
/// Boot; returns when RUNNING or with an error.
pub const BOOT: u32 = none(0x28);
/// Shut down; EBUSY if programs run and not forced.
pub const SHUTDOWN: u32 = write::<StopOptions>(0x29);
/// Returns one of [`status`].
pub const GET_STATUS: u32 = none(0x2a);
/// Counters.
pub const QUERY_USAGE: u32 = read::<Usage>(0x2b);
/// Part of the log.
pub const READ_KMSG: u32 = both::<ReadKmsg>(0x2c);
/// Readers start from here from now on (`clear_kmsg`); returns nothing.
pub const CLEAR_KMSG: u32 = none(0x2d);
/// Which Linux CPU serves which co-kernel CPU.
pub const SET_IKC_MAP: u32 = write::<IkcMap>(0x2e);
/// See [`SET_IKC_MAP`]; for everybody who may open the device.
pub const GET_IKC_MAP: u32 = read::<IkcMap>(0x2f);
/// Build id of the loaded image.
pub const GET_BUILD_ID: u32 = read::<Text>(0x30);
/// Part of the instance's memory, for dumps.
pub const READ_MEMORY: u32 = both::<ReadMemory>(0x31);
/// Let this group id run programs: the device becomes 0660 of that group.
pub const SET_GROUP: u32 = write::<u32>(0x32);

// ---- /dev/mcosN, running programs (served by mcctrl) ----

/// First number of mcctrl's ioctls: ihk.ko passes everything from here on to the service.
pub const SERVICE_FIRST: u32 = 0x60;

/// Argument and answer of [`CREATE_PROCESS`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct CreateProcess {
    /// In: the program.
    pub image: super::process::ProcessImage,
    /// Out: descriptor to map window and slots from; close-on-exec. Close it after mapping.
    pub window_fd: i32,
    /// Out: always 0.
    pub reserved: u32,
}

/// Create the calling process's program. EBUSY if it has one, ESRCH if no co-kernel runs, EPROTO
/// on version mismatch, ENOMEM if the partition is too small, EINVAL for a malformed image.
/// The window is then mapped from `window_fd`: MAP_SHARED, PROT_READ|PROT_WRITE, one mapping from
/// `window_start` to [`super::layout::WINDOW_END`] with file offset = address; all
/// [`super::slot::SHARED_PAGES`] shared pages, anywhere above, with file offset [`SLOTS_OFFSET`]. Pages
/// of slots after the first may be touched when [`super::process::op::NEW_WORKER`] has named a slot
/// there, bounce pages while a [`super::process::op::BOUNCE`] is performed.
pub const CREATE_PROCESS: u32 = both::<CreateProcess>(0x60);

/// File offset, in the window descriptor, of the first slot page.
pub const SLOTS_OFFSET: u64 = 0x7000_0000_0000;

/// Argument of [`START`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartProcess {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
}
/// Run the program; the caller becomes the worker of slot 0.
pub const START: u32 = write::<StartProcess>(0x61);
/// Argument = [`Wait`]. Sleep until that slot's ASLEEP flag is cleared by a request, or EINTR. ETIMEDOUT if
/// that took too long, ESHUTDOWN if the instance died.
pub const WAIT: u32 = none(0x62);

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

    /// What was passed.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    pub const fn of_argument(argument: u64) -> Self {
        Self {
            slot: argument as u32,
            limit_us: (argument >> 32) as u32,
        }
    }
}

/// Argument = slot index. Tell the co-kernel that this slot's answer is there (it set WAITER).
pub const RING: u32 = none(0x63);

/// Argument of [`POPULATE`] and [`LOAD_PAGES`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Populate {
    /// Descriptor to read from; for [`LOAD_PAGES`], number of a file that is mapped.
    pub fd: i32,
    /// [`POPULATE`]: 1 if all pages must come at once. [`LOAD_PAGES`]: which page was touched, from 0 on.
    pub detail: u32,
    /// Offset in the file.
    pub file_offset: u64,
    /// Address in the program; like the offset, a multiple of the page size.
    pub address: u64,
    /// Bytes. What a page has behind them is zero; pages past the end of the file stay away.
    pub bytes: u64,
}
/// Give the program pages with a file's content, whatever rights it has there: loading of executables
/// and private file mappings. Pages come when they are touched, unless that is not possible or not
/// wanted, and are the same for all processes as long as the file does not change.
/// EINVAL outside the window or if misaligned, EFAULT where the program may have no page of a file,
/// EACCES if the descriptor is not open for reading, ENODEV for what is no regular file, ENOMEM.
pub const POPULATE: u32 = write::<Populate>(0x64);
/// Load pages that were touched, as far as none are there; see
/// [`super::process::op::LOAD_PAGES`]. EINVAL, ENOMEM as [`POPULATE`]; EFAULT: the file ends before, or
/// is not what is mapped there.
pub const LOAD_PAGES: u32 = write::<Populate>(0x68);
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
/// What [`COPY`] shall do.
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
/// For measuring: copy between the caller and memory that the program has, mapping nothing. EINVAL
/// outside the window, EFAULT where the program has no such memory at the moment or the caller has
/// none; part may have been copied.
pub const COPY: u32 = write::<CopyData>(0x67);

/// What the control thread is told by [`CONTROL_WAIT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ControlEvent {
    /// One of [`event`].
    pub kind: u32,
    /// What it is about.
    pub value: u32,
}
/// Kinds of [`ControlEvent`].
pub mod event {
    /// The instance is gone (panic, hang, shutdown): the program cannot go on.
    pub const INSTANCE_GONE: u32 = 1;
    /// The worker of slot `value` shall interrupt the call it performs, if that is still cancelled.
    pub const CANCEL: u32 = 2;
}
/// Sleep until something concerns the whole process. While a thread sleeps here, mcctrl sees
/// SIGKILL and stops at once and tells the co-kernel. EINTR otherwise.
pub const CONTROL_WAIT: u32 = read::<ControlEvent>(0x65);

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
/// Deliver a signal that mcexec received to the program.
pub const SIGNAL: u32 = write::<ForwardSignal>(0x66);

/// Argument and answer of [`ADOPT_PROCESS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct AdoptProcess {
    /// In: argument 0 of the parent's [`super::process::op::FORK`].
    pub prepared_child: u64,
    /// Out: descriptor to map the window from; close-on-exec. Close it after mapping.
    pub window_fd: i32,
    /// Out: the same for the slots.
    pub slots_fd: i32,
}
/// The caller, a child of a proxy, stands for the process its parent has prepared. Errors as for
/// [`CREATE_PROCESS`]; ESRCH also if the parent has gone or has prepared none.
pub const ADOPT_PROCESS: u32 = both::<AdoptProcess>(0x70);
/// Run an adopted process; the caller becomes the worker of slot 0.
pub const START_ADOPTED: u32 = none(0x71);

/// Argument and answer of [`QUERY`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Query {
    /// In: process id, 0 = the caller's.
    pub pid: i32,
    /// In: one of [`super::view::what`].
    pub what: u32,
    /// In: number of the first record wanted.
    pub from: u64,
    /// In: user address of room for [`super::view::VIEW_WORDS`] words.
    pub buffer: u64,
    /// Out: words that were written there.
    pub words: u64,
}
/// Ask the co-kernel for records of a process or of itself. ESRCH if it has no such process, EPERM
/// if it is somebody else's, EINVAL for an unknown question. Questions about the co-kernel itself
/// may be asked without a program, too.
pub const QUERY: u32 = both::<Query>(0x78);
/// Argument = signal. The caller's process has written a core and dies of that signal, as if Linux had
/// written the core. EINVAL for what is no signal; comes back only then.
pub const CORE_WRITTEN: u32 = none(0x79);

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
/// Show the program the page that the caller has mapped at an address of the window, and neighbours
/// that are there, until Linux changes its mapping. EFAULT: there is none; EAGAIN: it changes all
/// the time.
pub const MIRROR: u32 = write::<MirrorPage>(0x80);

/// Argument of [`MAP_WINDOW`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowPart {
    /// First address.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}
/// Part of the caller's window, where it had mapped something else, is the window again.
pub const MAP_WINDOW: u32 = write::<WindowPart>(0x81);

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Query>() == 32);
    assert!(size_of::<AdoptProcess>() == 16);
    assert!(size_of::<MirrorPage>() == 16);
    assert!(size_of::<CpuSet>() == 64);
    assert!(size_of::<MemorySpec>() == 512);
    assert!(size_of::<LoadImage>() == 352);
    assert!(size_of::<Text>() == 1032);
    assert!(size_of::<Usage>() == 64 + 2048 + 64 * 24);
    assert!(size_of::<CreateProcess>() == 1128);
    assert!(size_of::<Populate>() == 32);
    assert!(size_of::<CopyData>() == 32);
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
    assert!(size_of::<ForwardSignal>() == 32);
    assert!(super::layout::MAX_LINUX_CPUS == 8 * 64);
};
