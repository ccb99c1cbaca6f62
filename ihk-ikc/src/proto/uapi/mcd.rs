// SPDX-License-Identifier: GPL-2.0
//! ioctls of `/dev/mcd0`: CPUs and memory taken from Linux, and instances. For root.

use super::super::layout::MAX_NODES;
use super::{ioctls, none, read, write};

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

/// Argument of [`SHUTDOWN`](super::SHUTDOWN) and [`DESTROY_OS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOptions {
    /// Instance number ([`DESTROY_OS`] only).
    pub os: u32,
    /// 1: even if programs run.
    pub force: u32,
}

ioctls! { MCD_IOCTLS:
    /// Returns [`super::super::ABI_VERSION`] of ihk.ko; on both devices.
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
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<CpuSet>() == 64);
    assert!(size_of::<MemorySpec>() == 512);
    assert!(super::super::layout::MAX_LINUX_CPUS == 8 * 64);
};
