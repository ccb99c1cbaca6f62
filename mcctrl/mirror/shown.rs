// SPDX-License-Identifier: GPL-2.0
//! The record of which pages the program sees of Linux's.

use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use kernel::rbtree::{RBTree, RBTreeNode};

/// Pages of 2 MiB: a bit each.
pub(super) type Pages = [u64; 8];

/// The pages that are shown, by number of the 2 MiB.
pub(super) struct Shown(RBTree<u64, Pages>);

impl Shown {
    /// None.
    pub(super) fn new() -> Self {
        Self(RBTree::new())
    }

    /// Makes `node`, which is that of number `key`, the room for pages of these 2 MiB, if there is
    /// none.
    pub(super) fn make_room(&mut self, key: u64, node: RBTreeNode<u64, Pages>) {
        if self.0.get(&key).is_none() {
            self.0.insert(node);
        }
    }

    /// `pages` of the 2 MiB of number `key`, for which there is room, are shown.
    pub(super) fn add(&mut self, key: u64, pages: Pages) {
        if let Some(all) = self.0.get_mut(&key) {
            all.iter_mut().zip(pages).for_each(|(all, new)| *all |= new);
        }
    }

    /// Whether a page of [`start`, `end`) is shown.
    pub(super) fn has_any(&mut self, start: u64, end: u64) -> bool {
        let mut cursor = self.0.cursor_lower_bound_mut(&(start / LARGE_PAGE_BYTES));
        while let Some(at) = cursor {
            let (key, pages) = at.current();
            if key.saturating_mul(LARGE_PAGE_BYTES) >= end {
                return false;
            }
            let bits = bits_of(*key, start, end);
            if pages.iter().zip(bits).any(|(page, bit)| page & bit != 0) {
                return true;
            }
            cursor = at.move_next();
        }
        false
    }

    /// I4 of [`super`]: no page of [`start`, `end`) is shown any more.
    pub(super) fn hide(&mut self, start: u64, end: u64) {
        let mut cursor = self.0.cursor_lower_bound_mut(&(start / LARGE_PAGE_BYTES));
        while let Some(mut at) = cursor {
            let (key, pages) = at.current_mut();
            if key.saturating_mul(LARGE_PAGE_BYTES) >= end {
                return;
            }
            let bits = bits_of(*key, start, end);
            pages
                .iter_mut()
                .zip(bits)
                .for_each(|(page, bit)| *page &= !bit);
            let is_empty = *pages == [0; 8];
            cursor = if is_empty {
                let (next, node) = at.remove_current();
                drop(node);
                next
            } else {
                at.move_next()
            };
        }
    }
}

/// Number of the page at `address` in its 2 MiB.
pub(super) fn page_number(address: u64) -> u64 {
    (address & (LARGE_PAGE_BYTES - 1)) / PAGE_BYTES
}

/// Adds page `page` to `pages`.
pub(super) fn mark(pages: &mut Pages, page: u64) {
    if let Some(word) = pages.get_mut((page / 64) as usize) {
        *word |= 1 << (page % 64);
    }
}

/// The bits of [`start`, `end`) in the 2 MiB of number `key`.
fn bits_of(key: u64, start: u64, end: u64) -> Pages {
    let first = key.saturating_mul(LARGE_PAGE_BYTES);
    if start <= first && end >= first.saturating_add(LARGE_PAGE_BYTES) {
        return [u64::MAX; 8];
    }
    let mut bits = [0; 8];
    for page in 0..LARGE_PAGE_BYTES / PAGE_BYTES {
        let address = first.saturating_add(page * PAGE_BYTES);
        if address >= start && address < end {
            mark(&mut bits, page);
        }
    }
    bits
}
