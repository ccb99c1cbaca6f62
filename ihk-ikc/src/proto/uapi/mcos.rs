// SPDX-License-Identifier: GPL-2.0
//! ioctls of `/dev/mcosN` that ihk.ko serves: an instance is put together, booted, watched and ended.
//! For `CAP_SYS_ADMIN`, unless one says otherwise.

use super::super::layout::{MAX_CPUS, MAX_NODES};
use super::mcd::{CpuSet, MemorySpec, StopOptions};
use super::{both, ioctls, none, read, write};

/// One segment of a co-kernel image.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageSegment {
    /// The offset of its bytes in the file.
    pub file_offset: u64,
    /// The number of bytes that come from the file.
    pub file_bytes: u64,
    /// The address at which it runs, at or above [`super::super::layout::IMAGE_BASE`].
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
    /// [`super::super::ABI_VERSION`] of the tool.
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

/// The co-kernel's part of a node's memory.
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
    pub interrupts: [u64; MAX_CPUS],
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

/// The Linux CPU that serves each co-kernel CPU: index = co-kernel CPU, value = Linux CPU + 1,
/// 0 = no preference.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IkcMap {
    /// See above.
    pub linux_cpu: [u16; MAX_IKC_PAIRS],
}

ioctls! { MCOS_IOCTLS:
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
    /// Set the Linux CPU that serves each co-kernel CPU.
    pub const SET_IKC_MAP: u32 = write::<IkcMap>(0x2e);
    /// See [`SET_IKC_MAP`]; for everybody who may open the device.
    pub const GET_IKC_MAP: u32 = read::<IkcMap>(0x2f);
    /// Build id of the loaded image.
    pub const GET_BUILD_ID: u32 = read::<Text>(0x30);
    /// Part of the instance's memory, for dumps.
    pub const READ_MEMORY: u32 = both::<ReadMemory>(0x31);
    /// Let this group id run programs: the device becomes 0660 of that group.
    pub const SET_GROUP: u32 = write::<u32>(0x32);
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<LoadImage>() == 352);
    assert!(size_of::<Text>() == 1032);
    assert!(size_of::<Usage>() == 64 + 2048 + 64 * 24);
};
