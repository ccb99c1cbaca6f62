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

/// The same number as an index or a length in memory: both have 64 bits here.
#[inline]
pub const fn to_usize(number: u64) -> usize {
    const { assert!(usize::BITS == u64::BITS) };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as wide, which is asserted above"
    )]
    let number = number as usize;
    number
}

/// The length of a list as a count; no list here has more than `u32::MAX`.
pub fn count_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The number of whole pages in `bytes`; at most `u32::MAX`.
pub fn page_count(bytes: u64) -> u32 {
    u32::try_from(bytes / PAGE_BYTES).unwrap_or(u32::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_saturate_and_never_wrap() {
        assert_eq!(page_count(3 * PAGE_BYTES + 1), 3);
        assert_eq!(page_count(u64::MAX), u32::MAX);
        assert_eq!(count_of(7), 7);
        assert_eq!(count_of(usize::MAX), u32::MAX);
        assert_eq!(to_usize(u64::MAX), usize::MAX);
    }
}
