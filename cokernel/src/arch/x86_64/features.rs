// SPDX-License-Identifier: GPL-2.0
//! CPU features: programs were promised by Linux's auxiliary vector and CPUID what Linux enabled,
//! so the co-kernel enables the same, except what concerns only Linux's own kernel.

use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::boot::BootParams;

use super::{gdt, msr};

/// Control register bits.
mod cr4 {
    pub(super) const PGE: u64 = 1 << 7;
    pub(super) const MCE: u64 = 1 << 6;
    pub(super) const PAE: u64 = 1 << 5;
    pub(super) const OSFXSR: u64 = 1 << 9;
    pub(super) const OSXMMEXCPT: u64 = 1 << 10;
    pub(super) const LA57: u64 = 1 << 12;
    pub(super) const VMXE: u64 = 1 << 13;
    pub(super) const SMXE: u64 = 1 << 14;
    pub(super) const FSGSBASE: u64 = 1 << 16;
    pub(super) const PCIDE: u64 = 1 << 17;
    pub(super) const OSXSAVE: u64 = 1 << 18;
    pub(super) const SMAP: u64 = 1 << 21;
    pub(super) const PKE: u64 = 1 << 22;
    pub(super) const CET: u64 = 1 << 23;
    pub(super) const PKS: u64 = 1 << 24;
    pub(super) const UINTR: u64 = 1 << 25;
    pub(super) const LASS: u64 = 1 << 27;
    pub(super) const LAM_SUP: u64 = 1 << 28;
    pub(super) const FRED: u64 = 1 << 32;
    /// Bits that Linux's kernel uses for itself.
    pub(super) const LINUX_ONLY: u64 =
        LA57 | VMXE | SMXE | PCIDE | CET | PKS | UINTR | LASS | LAM_SUP | FRED;
    /// Bits that this kernel needs.
    pub(super) const NEEDED: u64 = PAE | PGE | MCE | OSFXSR | OSXMMEXCPT;
}

const CR0_PE_MP_NE_WP_AM_PG: u64 = 1 | 1 << 1 | 1 << 5 | 1 << 16 | 1 << 18 | 1 << 31;
const CR0_ET: u64 = 1 << 4;
const EFER_SCE_LME_LMA_NXE: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 11;
/// AMX tile data, which Linux gives only to programs that asked.
const XFD_TILE_DATA: u64 = 1 << 18;

/// The register of the protection keys.
pub(super) const PROTECTION_KEYS: u64 = 1 << 9;

/// CR4 as loaded; the same on every CPU.
static CR4: AtomicU64 = AtomicU64::new(0);
static XCR0: AtomicU64 = AtomicU64::new(0);

/// Sets this CPU up: control registers, PAT, what programs read to learn their CPU.
pub(super) fn enable(params: &BootParams, cpu: u32, node: u32) {
    let wanted = params.linux_cr4 & !cr4::LINUX_ONLY | cr4::NEEDED;
    CR4.store(wanted, Ordering::Relaxed);
    XCR0.store(params.linux_xcr0, Ordering::Relaxed);
    // SAFETY: the bits are those Linux runs with on this very CPU, plus what every x86-64 CPU has.
    // Tables, stack and code stay mapped. Loading CR4 with PGE off first flushes global pages.
    unsafe {
        core::arch::asm!("mov cr0, {}", in(reg) CR0_PE_MP_NE_WP_AM_PG | CR0_ET, options(nostack, preserves_flags));
        core::arch::asm!("mov cr4, {}", in(reg) wanted & !cr4::PGE, options(nostack, preserves_flags));
        core::arch::asm!("mov cr4, {}", in(reg) wanted, options(nostack, preserves_flags));
    }
    // SAFETY: as above; PAT is what Linux's page tables, and so mirrored pages, count on.
    unsafe {
        msr::write(msr::EFER, EFER_SCE_LME_LMA_NXE);
        msr::write(msr::PAT, params.linux_pat);
        msr::write(msr::SYSENTER_CS, 0);
    }
    if has_rdtscp() {
        // SAFETY: the CPU has RDTSCP, so the register exists.
        unsafe { msr::write(msr::TSC_AUX, gdt::cpu_number(cpu, node)) };
    }
    if has_xsave() {
        enable_extended_states(params.linux_xcr0);
    }
}

fn enable_extended_states(xcr0: u64) {
    let (low, high) = (xcr0 & 0xffff_ffff, xcr0 >> 32);
    // SAFETY: CR4.OSXSAVE is set, and Linux runs with the same value on this CPU.
    unsafe {
        core::arch::asm!("xsetbv", in("ecx") 0, in("rax") low, in("rdx") high, options(nostack, preserves_flags))
    };
    if xcr0 & XFD_TILE_DATA != 0 && cpuid(0xd, 1).eax & 1 << 4 != 0 {
        // SAFETY: CPUID says that the register exists.
        unsafe { msr::write(msr::XFD, XFD_TILE_DATA) };
    }
}

/// One leaf of CPUID.
#[allow(
    unused_unsafe,
    reason = "safe for newer compilers, unsafe for the kernel's"
)]
pub(super) fn cpuid(leaf: u32, sub: u32) -> core::arch::x86_64::CpuidResult {
    // SAFETY: every x86-64 CPU has CPUID; unknown leaves answer something harmless.
    unsafe { __cpuid_count(leaf, sub) }
}

/// Whether programs may set FS and GS bases themselves.
pub(super) fn has_fsgsbase() -> bool {
    CR4.load(Ordering::Relaxed) & cr4::FSGSBASE != 0
}

/// Whether the kernel must say when it touches user memory.
pub(super) fn has_smap() -> bool {
    CR4.load(Ordering::Relaxed) & cr4::SMAP != 0
}

/// Whether there is more than the FXSAVE state.
pub(super) fn has_xsave() -> bool {
    CR4.load(Ordering::Relaxed) & cr4::OSXSAVE != 0
}

/// Whether pages have protection keys, whose register is an extended state.
pub(super) fn has_protection_keys() -> bool {
    CR4.load(Ordering::Relaxed) & cr4::PKE != 0 && has_xsave() && xcr0() & PROTECTION_KEYS != 0
}

/// The extended states programs have.
pub(super) fn xcr0() -> u64 {
    XCR0.load(Ordering::Relaxed)
}

/// Whether the local APIC timer takes a time-stamp counter value.
pub(super) fn has_tsc_deadline() -> bool {
    cpuid(1, 0).ecx & 1 << 24 != 0
}

fn has_rdtscp() -> bool {
    cpuid(0x8000_0001, 0).edx & 1 << 27 != 0
}

/// Whether pages of 1 GiB exist.
pub fn has_giant_pages() -> bool {
    cpuid(0x8000_0001, 0).edx & 1 << 26 != 0
}
