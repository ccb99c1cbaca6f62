// SPDX-License-Identifier: GPL-2.0
//! Model-specific registers, each by its name.

/// Local APIC base and mode.
pub const APIC_BASE: u32 = 0x1b;
/// The selectors that `syscall` and `sysret` load.
pub const STAR: u32 = 0xc000_0081;
/// 64-bit entry point.
pub const LSTAR: u32 = 0xc000_0082;
/// Entry point of 32-bit programs.
pub const CSTAR: u32 = 0xc000_0083;
/// Flags that `syscall` clears.
pub const FMASK: u32 = 0xc000_0084;
/// FS base.
pub const FS_BASE: u32 = 0xc000_0100;
/// GS base.
pub const GS_BASE: u32 = 0xc000_0101;
/// The GS base that `swapgs` brings.
pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
/// The number that `rdtscp` returns beside the counter.
pub const TSC_AUX: u32 = 0xc000_0103;
/// Extended features.
pub const EFER: u32 = 0xc000_0080;
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
    let (low, high): (u32, u32);
    // SAFETY: by this function's contract.
    unsafe {
        core::arch::asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a register.
///
/// # Safety
///
/// The register exists, the value is valid for it, and what it changes keeps the kernel sound.
pub unsafe fn write(msr: u32, value: u64) {
    let (low, high) = (value & 0xffff_ffff, value >> 32);
    // SAFETY: by this function's contract.
    unsafe {
        core::arch::asm!("wrmsr", in("ecx") msr, in("rax") low, in("rdx") high, options(nostack, preserves_flags));
    }
}
