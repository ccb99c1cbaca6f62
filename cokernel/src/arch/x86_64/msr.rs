// SPDX-License-Identifier: GPL-2.0
//! Model-specific registers that the x86_64 crate does not name, or assembly uses.

use x86_64::registers::model_specific::Msr;

/// GS base.
pub const GS_BASE: u32 = 0xc000_0101;
/// Entry point of 32-bit programs.
pub const CSTAR: u32 = 0xc000_0083;
/// The number that `rdtscp` returns beside the counter.
pub const TSC_AUX: u32 = 0xc000_0103;
/// Page attribute table.
pub const PAT: u32 = 0x277;
/// `sysenter` code segment; 0 makes `sysenter` fault.
pub const SYSENTER_CS: u32 = 0x174;
/// Deadline of the local APIC timer.
pub const TSC_DEADLINE: u32 = 0x6e0;
/// First register of the local APIC in x2APIC mode.
pub const X2APIC_BASE: u32 = 0x800;
/// Extended states whose first use traps.
pub const XFD: u32 = 0x1c4;

/// Reads a register.
///
/// # Safety
///
/// The register exists on this CPU and reading it has no side effect that matters.
pub unsafe fn read(msr: u32) -> u64 {
    // SAFETY: by this function's contract.
    unsafe { Msr::new(msr).read() }
}

/// Writes a register.
///
/// # Safety
///
/// The register exists, the value is valid for it, and what it changes keeps the kernel sound.
pub unsafe fn write(msr: u32, value: u64) {
    // SAFETY: by this function's contract.
    unsafe { Msr::new(msr).write(value) };
}
