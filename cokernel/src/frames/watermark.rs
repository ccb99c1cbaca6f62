// SPDX-License-Identifier: GPL-2.0
//! The watermarks of free memory: who may take the last frames. Programs' own pages stop first,
//! then what programs make the kernel keep for them (tables, stacks, slots, areas); the rest is for
//! work that cannot fail, such as giving memory back. Before anybody goes without, pages of the
//! page cache that nobody has mapped are dropped.

use ihk_ikc::layout::PAGE_BYTES;
use x86_64::PhysAddr;

use crate::frames::{allocator, page_cache, pinned, table};

/// Programs leave this part of the partition to the kernel: 1 / this, and at least
/// [`RESERVE_FRAMES`].
const RESERVE_FRACTION: u64 = 64;
/// See [`RESERVE_FRACTION`].
const RESERVE_FRAMES: u64 = 1024;
/// Memory that the kernel keeps for a program leaves 1 / this of the reserve.
const LAST_FRACTION: u64 = 2;

/// Whether programs may have `bytes` more, now.
pub fn has_room_for(bytes: u64) -> bool {
    is_left_after(bytes, 1)
}

/// Whether what the kernel keeps for programs may take `bytes` more, now.
pub fn has_room_for_structures(bytes: u64) -> bool {
    is_left_after(bytes, LAST_FRACTION)
}

/// A frame for what the kernel keeps for a program, with undefined contents.
pub fn alloc_structure() -> Option<PhysAddr> {
    let room = has_room_for_structures(PAGE_BYTES)
        || pinned::recheck() && has_room_for_structures(PAGE_BYTES);
    if room {
        allocator::alloc_small()
    } else {
        None
    }
}

fn is_left_after(bytes: u64, fraction: u64) -> bool {
    let wanted = bytes / PAGE_BYTES;
    let reserve = (table::stats().total / RESERVE_FRACTION).max(RESERVE_FRAMES) / fraction;
    let is_left = || table::stats().free.saturating_sub(wanted) > reserve;
    let needed = wanted.saturating_add(reserve + 1);
    is_left() || page_cache::reclaim(needed.saturating_sub(table::stats().free)) && is_left()
}
