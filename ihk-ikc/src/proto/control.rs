// SPDX-License-Identifier: GPL-2.0
//! `InstanceControl`: the words by which an instance's life is steered and observed.
//! Lies in the boot area; every word has one writer, named at the word.

use super::atomic::{AtomicU32, AtomicU64};
use super::clock::ClockWords;
use super::layout::{MAX_CPUS, MAX_LINUX_CPUS, MAX_NODES};

/// The states that the co-kernel gives itself in [`InstanceControl::state`].
pub mod state {
    /// Nothing said yet (ihk.ko zeroes the page).
    pub const STARTING: u32 = 0;
    /// The boot CPU runs Rust code.
    pub const BOOTING: u32 = 1;
    /// All CPUs are up and programs may come.
    pub const RUNNING: u32 = 2;
    /// Shut down as told: no CPU touches memory any more, all sit in `cli; hlt`.
    pub const STOPPED: u32 = 3;
    /// Panicked; the report is in kmsg.
    pub const PANIC: u32 = 4;
    /// The boot parameters were refused (version, size, magic); the reason is in kmsg.
    pub const REFUSED: u32 = 5;
}

/// The orders of Linux to the co-kernel in [`InstanceControl::command`]; followed by a doorbell.
pub mod command {
    /// Carry on.
    pub const NONE: u32 = 0;
    /// Stop every CPU, then say [`super::state::STOPPED`].
    pub const SHUTDOWN: u32 = 1;
}

/// Counters for `ihkosctl query usage`. All written by the co-kernel.
#[repr(C)]
pub struct UsageCounters {
    /// 4 KiB frames the co-kernel manages.
    pub frames_total: AtomicU64,
    /// Of these, free.
    pub frames_free: AtomicU64,
    /// Of these, frames that Linux still has pinned.
    pub frames_pinned: AtomicU64,
    /// Processes that exist.
    pub processes: AtomicU64,
    /// App threads that exist.
    pub threads: AtomicU64,
    /// Delegation slots in use.
    pub slots: AtomicU64,
}

/// The co-kernel's part of a node's memory, for `ihkosctl query usage`. All written by the co-kernel.
#[repr(C)]
pub struct NodeCounters {
    /// 4 KiB frames the co-kernel manages.
    pub frames_total: AtomicU64,
    /// Of these, free.
    pub frames_free: AtomicU64,
    /// Aligned blocks of 2 MiB that are wholly free.
    pub blocks_free: AtomicU64,
}

/// The control words of one instance.
#[repr(C, align(4096))]
pub struct InstanceControl {
    /// One of [`state`]. Writer: co-kernel.
    pub state: AtomicU32,
    /// CPUs that run on the co-kernel's own page tables. Writer: co-kernel (each CPU adds one).
    pub cpus_online: AtomicU32,
    /// [`super::ABI_VERSION`] of the image. Writer: co-kernel, before `state`.
    pub abi_version: AtomicU32,
    /// CPUs that have stopped for good (shutdown or panic). Writer: co-kernel (each CPU adds one).
    pub cpus_stopped: AtomicU32,
    /// Unused; keeps the writers' cache lines apart.
    pub reserved0: [u64; 6],
    /// One of [`command`]. Writer: Linux.
    pub command: AtomicU32,
    /// The Linux CPU to ring for what concerns no particular worker. Writer: Linux.
    pub default_linux_cpu: AtomicU32,
    /// See `reserved0`.
    pub reserved1: [u64; 7],
    /// Writer: co-kernel.
    pub usage: UsageCounters,
    /// See `reserved0`.
    pub reserved2: [u64; 10],
    /// Interrupts taken since boot, per co-kernel CPU. Writer: that CPU.
    pub interrupts: [AtomicU64; MAX_CPUS],
    /// Per Linux CPU: how to ring it, `destination << 32 | low word of the interrupt command
    /// register`; 0 = cannot be rung (ring `default_linux_cpu`). One aligned store, so that the two
    /// halves always belong together. Writer: Linux, whenever the interrupt moves.
    pub doorbells: [AtomicU64; MAX_LINUX_CPUS],
    /// Per co-kernel CPU: counts up whenever the CPU passes through its scheduler, idle loop or
    /// interrupt handler, and between two bounded parts of long work; how ihk.ko tells a hung CPU after it rang
    /// it. Writer: that CPU.
    pub heartbeats: [AtomicU64; MAX_CPUS],
    /// Per co-kernel CPU: the Linux CPU that serves it, plus 1; 0: any, and `default_linux_cpu` is rung.
    /// Writer: Linux, before boot.
    pub servers: [AtomicU32; MAX_CPUS],
    /// Per node. Writer: co-kernel.
    pub nodes: [NodeCounters; MAX_NODES],
    /// Frames that `usage.frames_free` counts and no node's `frames_free` does: kept for the next
    /// thread, or lists that go with pages nobody has. Writer: co-kernel.
    pub frames_set_aside: AtomicU64,
    /// Linux's clocks. Writer: Linux, every half second and when one is set.
    pub clock: ClockWords,
    /// Per co-kernel CPU: counts its non-maskable interrupts, which a CPU takes wherever it is as long as it
    /// runs at all. Writer: that CPU.
    pub nmis: [AtomicU32; MAX_CPUS],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(InstanceControl, command) == 64);
    assert!(offset_of!(InstanceControl, usage) == 128);
    assert!(offset_of!(InstanceControl, interrupts) == 256);
    assert!(offset_of!(InstanceControl, doorbells) == 256 + 8 * MAX_CPUS);
    assert!(offset_of!(InstanceControl, servers) == 256 + 16 * MAX_CPUS + 8 * MAX_LINUX_CPUS);
    assert!(offset_of!(InstanceControl, nodes) == 256 + 20 * MAX_CPUS + 8 * MAX_LINUX_CPUS);
    assert!(size_of::<InstanceControl>() == 12288);
};
