// SPDX-License-Identifier: GPL-2.0
//! CPU features: programs were promised by Linux's auxiliary vector and CPUID what Linux enabled,
//! so the co-kernel enables the same, except what concerns only Linux's own kernel.

use core::arch::x86_64::__cpuid_count;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags};
use x86_64::registers::xcontrol::XCr0;

use super::{gdt, msr};
use crate::params::Params;

/// Bits of CR4 that the x86_64 crate does not name: user interrupts, linear address space separation,
/// address masking in the kernel, and the other way to deliver events.
const UINTR: u64 = 1 << 25;
const LASS: u64 = 1 << 27;
const LAM_SUP: u64 = 1 << 28;
const FRED: u64 = 1 << 32;

/// Bits of CR4 that Linux's kernel uses for itself.
const LINUX_ONLY: u64 = Cr4Flags::L5_PAGING
    .union(Cr4Flags::VIRTUAL_MACHINE_EXTENSIONS)
    .union(Cr4Flags::SAFER_MODE_EXTENSIONS)
    .union(Cr4Flags::PCID)
    .union(Cr4Flags::CONTROL_FLOW_ENFORCEMENT)
    .union(Cr4Flags::PROTECTION_KEY_SUPERVISOR)
    .bits()
    | UINTR
    | LASS
    | LAM_SUP
    | FRED;
/// Bits of CR4 that this kernel needs.
const NEEDED: Cr4Flags = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION
    .union(Cr4Flags::PAGE_GLOBAL)
    .union(Cr4Flags::MACHINE_CHECK_EXCEPTION)
    .union(Cr4Flags::OSFXSR)
    .union(Cr4Flags::OSXMMEXCPT_ENABLE);

const CR0: Cr0Flags = Cr0Flags::PROTECTED_MODE_ENABLE
    .union(Cr0Flags::MONITOR_COPROCESSOR)
    .union(Cr0Flags::EXTENSION_TYPE)
    .union(Cr0Flags::NUMERIC_ERROR)
    .union(Cr0Flags::WRITE_PROTECT)
    .union(Cr0Flags::ALIGNMENT_MASK)
    .union(Cr0Flags::PAGING);
const EFER: EferFlags = EferFlags::SYSTEM_CALL_EXTENSIONS
    .union(EferFlags::LONG_MODE_ENABLE)
    .union(EferFlags::LONG_MODE_ACTIVE)
    .union(EferFlags::NO_EXECUTE_ENABLE);
/// AMX tile data, which Linux gives only to programs that asked.
const XFD_TILE_DATA: u64 = 1 << 18;

/// The register of the protection keys.
pub(super) const PROTECTION_KEYS: u64 = 1 << 9;

/// CR4 as loaded; the same on every CPU.
static CR4: AtomicU64 = AtomicU64::new(0);
static XCR0: AtomicU64 = AtomicU64::new(0);

/// Sets this CPU up: control registers, PAT, what programs read to learn their CPU.
pub(super) fn enable(params: Params, cpu: u32, node: u32) {
    let wanted = params.linux_cr4 & !LINUX_ONLY | NEEDED.bits();
    CR4.store(wanted, Ordering::Relaxed);
    XCR0.store(params.linux_xcr0, Ordering::Relaxed);
    // SAFETY: the bits are those Linux runs with on this very CPU, plus what every x86-64 CPU has.
    // Tables, stack and code stay mapped. Loading CR4 with PGE off first flushes global pages.
    unsafe {
        Cr0::write_raw(CR0.bits());
        Cr4::write_raw(wanted & !Cr4Flags::PAGE_GLOBAL.bits());
        Cr4::write_raw(wanted);
    }
    // SAFETY: as above; PAT is what Linux's page tables, and so mirrored pages, count on.
    unsafe {
        Efer::write_raw(EFER.bits());
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
    // SAFETY: CR4.OSXSAVE is set, and Linux runs with the same value on this CPU.
    unsafe { XCr0::write_raw(xcr0) };
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

fn has(flag: Cr4Flags) -> bool {
    CR4.load(Ordering::Relaxed) & flag.bits() != 0
}

/// Whether programs may set FS and GS bases themselves.
pub(super) fn has_fsgsbase() -> bool {
    has(Cr4Flags::FSGSBASE)
}

/// Whether the kernel must say when it touches user memory.
pub(super) fn has_smap() -> bool {
    has(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION)
}

/// Whether there is more than the FXSAVE state.
pub(super) fn has_xsave() -> bool {
    has(Cr4Flags::OSXSAVE)
}

/// Whether pages have protection keys, whose register is an extended state.
pub(super) fn has_protection_keys() -> bool {
    has(Cr4Flags::PROTECTION_KEY_USER) && has_xsave() && xcr0() & PROTECTION_KEYS != 0
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
