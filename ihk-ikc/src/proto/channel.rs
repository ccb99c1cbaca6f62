// SPDX-License-Identifier: GPL-2.0
//! `CpuChannel`: the IKC endpoint of one co-kernel CPU. Control messages only; delegated calls go
//! through [`super::slot`].

use super::process::CreateMailbox;
use super::ring::Ring;

/// Two rings and a mailbox. ihk.ko zeroes it before boot.
///
/// Linux produces into `to_cokernel` under ihk.ko's lock of this channel; the CPU consumes.
/// The CPU produces into `to_linux` with interrupts off; Linux consumes under ihk.ko's lock.
#[repr(C, align(4096))]
pub struct CpuChannel {
    /// Linux → this CPU.
    pub to_cokernel: Ring,
    /// This CPU → Linux.
    pub to_linux: Ring,
    /// Bulk argument of [`super::packet::ToCokernel::CreateProcess`]. Writer: Linux, which owns it
    /// from before the packet is pushed until the answer came.
    pub mailbox: CreateMailbox,
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(CpuChannel, to_linux) == 8320);
    assert!(offset_of!(CpuChannel, mailbox) == 16640);
    assert!(size_of::<CpuChannel>() == 20480);
};
