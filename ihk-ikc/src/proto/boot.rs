// SPDX-License-Identifier: GPL-2.0
//! `BootParams`: what ihk.ko hands to the co-kernel's entry. Linux writes it before the first CPU
//! starts and never again; the co-kernel reads it.
//!
//! Entry protocol, for every CPU: 64-bit mode, interrupts off, `rdi` = address of `BootParams` in
//! the direct map, `rsi` = index into [`BootParams::cpus`], `rsp` = top of that CPU's boot stack
//! (in the direct map). The page tables are ihk.ko's: the partition at
//! [`super::layout::DIRECT_MAP_BASE`], the image at [`super::layout::IMAGE_BASE`], the trampoline
//! page one to one. They stay valid until [`super::control::InstanceControl::cpus_online`] equals
//! the number of CPUs; the co-kernel switches to its own before it says so.

use super::layout::{Region, MAX_CPUS, MAX_MEMORY_RANGES};

/// First word of [`BootParams`].
pub const BOOT_MAGIC: u64 = 0x5453_5252_4b43_4d31;
/// Bytes reserved for co-kernel boot arguments.
pub const KARGS_BYTES: usize = 1024;

/// One CPU of the instance; its index is the CPU number inside the co-kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuEntry {
    /// Local APIC id.
    pub apic_id: u32,
    /// Number Linux gave the CPU.
    pub linux_cpu: u32,
    /// NUMA node.
    pub node: u32,
    /// Always 0.
    pub reserved: u32,
    /// Physical address of the top of the stack it starts on (16-byte aligned).
    pub boot_stack_top: u64,
}

/// A contiguous run of the partition; a multiple of 2 MiB, aligned to 2 MiB, ascending, disjoint.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryRange {
    /// Its place.
    pub region: Region,
    /// NUMA node.
    pub node: u32,
    /// Index of the range's first frame in the partition-wide numbering of [`super::exposed`].
    pub first_frame: u32,
}

/// Everything the co-kernel knows of the machine when it starts.
#[repr(C)]
pub struct BootParams {
    /// [`BOOT_MAGIC`].
    pub magic: u64,
    /// [`super::ABI_VERSION`] of ihk.ko.
    pub abi_version: u32,
    /// `size_of::<BootParams>()` as ihk.ko sees it.
    pub bytes: u32,
    /// The image, in memory order; part of the partition, as are all regions below.
    pub image: Region,
    /// This structure.
    pub params: Region,
    /// [`super::control::InstanceControl`].
    pub control: Region,
    /// [`super::kmsg::KmsgRing`] and its bytes.
    pub kmsg: Region,
    /// `cpu_count` × [`super::channel::CpuChannel`].
    pub channels: Region,
    /// The bitmap of [`super::exposed`].
    pub exposed: Region,
    /// All boot stacks.
    pub stacks: Region,
    /// One contiguous region that contains all of the above; everything else of the partition is
    /// free for the co-kernel. It starts at the beginning of one memory range.
    pub boot_area: Region,
    /// Valid entries of `cpus`.
    pub cpu_count: u32,
    /// Valid entries of `memory`.
    pub memory_count: u32,
    /// 1 if Linux runs the local APICs in x2APIC mode.
    pub x2apic: u32,
    /// Valid bytes of `kargs`.
    pub kargs_bytes: u32,
    /// Linux's CR4: programs were promised these features by the auxiliary vector.
    pub linux_cr4: u64,
    /// Linux's XCR0, for the same reason.
    pub linux_xcr0: u64,
    /// Linux's IA32_PAT.
    pub linux_pat: u64,
    /// Frequency of the time-stamp counter, kHz.
    pub tsc_khz: u64,
    /// Linux's CLOCK_MONOTONIC, ns, when the TSC read `boot_tsc`.
    pub boot_monotonic_ns: u64,
    /// See `boot_monotonic_ns`.
    pub boot_tsc: u64,
    /// Instance number: N of /dev/mcosN.
    pub instance: u32,
    /// Always 0.
    pub reserved: u32,
    /// Boot arguments, UTF-8, separated by blanks.
    pub kargs: [u8; KARGS_BYTES],
    /// The CPUs; entry 0 boots first.
    pub cpus: [CpuEntry; MAX_CPUS],
    /// The memory.
    pub memory: [MemoryRange; MAX_MEMORY_RANGES],
}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<CpuEntry>() == 24);
    assert!(size_of::<MemoryRange>() == 24);
    assert!(offset_of!(BootParams, image) == 16);
    assert!(offset_of!(BootParams, cpu_count) == 16 + 8 * 16);
    assert!(offset_of!(BootParams, kargs) == 216);
    assert!(size_of::<BootParams>() == 216 + 1024 + 24 * MAX_CPUS + 24 * MAX_MEMORY_RANGES);
};
