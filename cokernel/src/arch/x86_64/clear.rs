// SPDX-License-Identifier: GPL-2.0
//! Clearing memory the way this CPU does it fastest: `rep stosb` where the CPU says that it is made
//! for that (ERMS), else unrolled stores of 16 bytes.

use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes one round of the unrolled loop clears.
const ROUND_BYTES: u64 = 512;

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
/// The memory must be the caller's to write; `start` is a multiple of 16, `bytes` of [`ROUND_BYTES`]
/// and not 0.
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
    // The register may be a program's: it gets its contents back. Its upper half is not touched.
    // SAFETY: the caller's promise; the kernel lives in ring 0 on CPUs that have SSE2.
    unsafe {
        asm!(
            "sub rsp, 16",
            "movups [rsp], xmm0",
            "xorps xmm0, xmm0",
            "2:",
            ".set clear_offset, 0",
            ".rept {stores}",
            "movaps [{at} + clear_offset], xmm0",
            ".set clear_offset, clear_offset + 16",
            ".endr",
            "add {at}, {round}",
            "dec {rounds}",
            "jnz 2b",
            "movups xmm0, [rsp]",
            "add rsp, 16",
            at = inout(reg) start => _,
            rounds = inout(reg) bytes / ROUND_BYTES => _,
            round = const ROUND_BYTES,
            stores = const ROUND_BYTES / 16,
        );
    }
}
