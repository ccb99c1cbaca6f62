// SPDX-License-Identifier: GPL-2.0
//! Protection keys: the register PKRU says which keys' pages the running thread may not touch.
//! It is among the registers of [`super::fpu`]; in a system call it is still the program's.
//! Intel SDM volume 3, "Protection Keys".

use super::features;

/// The number of keys; key 0 is everybody's.
pub const KEYS: u8 = 16;
/// A thread's rights at first: it may touch nothing with another key than 0, as on Linux.
pub(super) const INITIAL: u32 = 0x5555_5554;
/// Bits of one key: no access, no writes.
const RIGHTS: u32 = 3;

/// Whether programs have keys.
pub fn exist() -> bool {
    features::has_protection_keys()
}

/// Gives the running thread's program the rights `denied` (bit 0: no access, bit 1: no writes) to
/// pages with `key`, one of [`KEYS`]. Only if keys [`exist`].
pub fn deny(key: u32, denied: u32) {
    assert!(exist(), "the CPU has no protection keys");
    let shift = key % u32::from(KEYS) * 2;
    write(read() & !(RIGHTS << shift) | (denied & RIGHTS) << shift);
}

/// Lets the running thread touch everything, while a signal frame is written or read, as Linux does.
pub fn deny_nothing() {
    if exist() {
        write(0);
    }
}

fn read() -> u32 {
    let value: u32;
    // SAFETY: keys exist, so the register does; reading it has no effect.
    unsafe {
        core::arch::asm!("rdpkru", out("eax") value, in("ecx") 0, out("edx") _, options(nomem, nostack, preserves_flags))
    };
    value
}

fn write(value: u32) {
    // SAFETY: keys exist; the register concerns pages of the program only, of which the kernel has no
    // references.
    unsafe {
        core::arch::asm!("wrpkru", in("eax") value, in("ecx") 0, in("edx") 0, options(nostack, preserves_flags))
    };
}
