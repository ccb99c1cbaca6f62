// SPDX-License-Identifier: GPL-2.0
//! Clearing memory the way this CPU does it fastest: `rep stosb` where the CPU says that it is made
//! for that (ERMS), else unrolled stores, as Linux's `clear_page_orig`.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes one round of the unrolled loop clears.
const ROUND_BYTES: u64 = 128;

/// CPUID 7.0 EBX: enhanced `rep movsb` and `rep stosb`.
const ERMS: u32 = 1 << 9;

static HAS_ERMS: AtomicBool = AtomicBool::new(false);

/// Looks at the CPU. The boot CPU, once; the others are of its kind.
pub(super) fn init() {
    let leaf = super::features::cpuid(7, 0);
    HAS_ERMS.store(leaf.ebx & ERMS != 0, Ordering::Relaxed);
}

/// Fills `bytes` bytes at `start` with zeros.
///
/// # Safety
///
/// The memory must be the caller's to write; `bytes` is a multiple of [`ROUND_BYTES`], not 0.
pub unsafe fn clear(start: *mut u8, bytes: u64) {
    if HAS_ERMS.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!(
                "rep stosb",
                inout("rcx") bytes => _,
                inout("rdi") start => _,
                in("al") 0u8,
                options(nostack, preserves_flags),
            );
        }
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "2:",
            "mov [{at}], {zero}",
            "mov [{at} + 8], {zero}",
            "mov [{at} + 16], {zero}",
            "mov [{at} + 24], {zero}",
            "mov [{at} + 32], {zero}",
            "mov [{at} + 40], {zero}",
            "mov [{at} + 48], {zero}",
            "mov [{at} + 56], {zero}",
            "mov [{at} + 64], {zero}",
            "mov [{at} + 72], {zero}",
            "mov [{at} + 80], {zero}",
            "mov [{at} + 88], {zero}",
            "mov [{at} + 96], {zero}",
            "mov [{at} + 104], {zero}",
            "mov [{at} + 112], {zero}",
            "mov [{at} + 120], {zero}",
            "add {at}, {round}",
            "dec {rounds}",
            "jnz 2b",
            at = inout(reg) start => _,
            rounds = inout(reg) bytes / ROUND_BYTES => _,
            zero = in(reg) 0u64,
            round = const ROUND_BYTES,
            options(nostack),
        );
    }
}
