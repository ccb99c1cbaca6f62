// SPDX-License-Identifier: GPL-2.0
//! User addresses and page arithmetic. Physical addresses are `x86_64::PhysAddr`.

use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

/// First address that does not belong to user space (4-level paging), minus the last page, which
/// Linux keeps free too: `sysret` to the address after a `syscall` in it would fault in ring 0.
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// Whether all of `[start, start + bytes)` is user space's.
pub const fn is_user_range(start: u64, bytes: u64) -> bool {
    match start.checked_add(bytes) {
        Some(end) => end <= USER_END,
        None => false,
    }
}

/// Rounds down to a small page.
pub const fn page_down(address: u64) -> u64 {
    address & !(PAGE_BYTES - 1)
}

/// Rounds up to a small page; `None` past the end of the address space.
pub const fn page_up(address: u64) -> Option<u64> {
    match address.checked_add(PAGE_BYTES - 1) {
        Some(sum) => Some(page_down(sum)),
        None => None,
    }
}

/// Whether `address` is a multiple of a small page.
pub const fn is_page_aligned(address: u64) -> bool {
    address % PAGE_BYTES == 0
}

/// Rounds down to a large page.
pub const fn large_down(address: u64) -> u64 {
    address & !(LARGE_PAGE_BYTES - 1)
}
