// SPDX-License-Identifier: GPL-2.0
//! Addresses and sizes both kernels and mcexec agree on (docs/memory-map.md draws them).

/// Bytes of a small page, and of a frame.
pub const PAGE_BYTES: u64 = 4096;
/// Bytes of a large page; a partition is made of blocks of this size (order-9 folios).
pub const LARGE_PAGE_BYTES: u64 = 2 << 20;

/// First address of the window: the part of the address space in which the app lives and which
/// mcexec maps at the same addresses. Linux's default `vm.mmap_min_addr`; mcexec may start higher.
pub const WINDOW_MIN: u64 = 0x1_0000;
/// End of the window. The gate, mcexec, its heap, stacks and slots lie in the 32 GiB above. Linux may put
/// the main stack of a process 16 GiB below the end of the address space.
pub const WINDOW_END: u64 = 0x7ff8_0000_0000;
/// mcexec is linked to run here; below are the gate and its calls ([`super::uapi::gate`]).
pub const MCEXEC_BASE: u64 = WINDOW_END + (1 << 30);

/// The co-kernel sees its partition at `DIRECT_MAP_BASE + physical address`; nothing but the
/// partition is mapped there.
pub const DIRECT_MAP_BASE: u64 = 0xffff_8000_0000_0000;
/// The co-kernel image is linked to run here. ihk.ko maps it to wherever it was loaded, so any
/// number of instances can lie anywhere in physical memory.
pub const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// Upper bound of an image's size in memory, bytes.
pub const IMAGE_MAX_BYTES: u64 = 64 << 20;
/// The local APIC's registers, mapped by the co-kernel in xAPIC mode.
pub const LAPIC_BASE: u64 = 0xffff_ffff_f000_0000;

/// Most CPUs of one instance.
pub const MAX_CPUS: usize = 256;
/// Most CPUs Linux may have (doorbell targets are indexed by Linux's CPU number).
pub const MAX_LINUX_CPUS: usize = 512;
/// Most runs of contiguous memory in one instance.
pub const MAX_MEMORY_RANGES: usize = 1024;
/// Most NUMA nodes.
pub const MAX_NODES: usize = 64;
/// Most co-kernel instances on one host.
pub const MAX_INSTANCES: usize = 64;

/// Interrupt vector by which Linux rings a co-kernel CPU. Away from Linux's own system vectors
/// (0xec–0xff), so that a stray broadcast is never taken for a doorbell.
pub const DOORBELL_VECTOR: u8 = 0xd1;
/// Vector by which co-kernel CPUs ring each other.
pub const COKERNEL_IPI_VECTOR: u8 = 0xd2;
/// Vector of the co-kernel's one-shot local APIC timer.
pub const TIMER_VECTOR: u8 = 0xd3;

/// A stretch of physical memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// First physical address.
    pub phys: u64,
    /// Length in bytes.
    pub bytes: u64,
}
