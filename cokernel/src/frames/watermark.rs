// SPDX-License-Identifier: GPL-2.0
//! The watermarks of free memory: who may take the last frames. Programs' own pages stop first,
//! then what programs make the kernel keep for them (tables, stacks, slots, areas); the rest is for
//! work that cannot fail, such as giving memory back. Before anybody goes without, pages of the
//! page cache that nobody has mapped are dropped.

use cokernel_logic::watermark::{missing, reserve, Purpose};
use ihk_ikc::layout::PAGE_BYTES;

use crate::frames::owned::OwnedRun;
use crate::frames::{allocator, page_cache, pinned, table};

/// Whether programs may have `bytes` more, now.
pub fn has_room_for(bytes: u64) -> bool {
    is_left_after(bytes, Purpose::Pages)
}

/// Whether what the kernel keeps for programs may take `bytes` more, now.
pub fn has_room_for_structures(bytes: u64) -> bool {
    is_left_after(bytes, Purpose::Structures)
}

/// A frame for what the kernel keeps for a program, with undefined contents.
pub fn alloc_structure() -> Option<OwnedRun> {
    let room = has_room_for_structures(PAGE_BYTES)
        || pinned::recheck() && has_room_for_structures(PAGE_BYTES);
    if room {
        allocator::alloc_run(1)
    } else {
        None
    }
}

fn is_left_after(bytes: u64, purpose: Purpose) -> bool {
    let missing = || {
        let stats = table::stats();
        missing(
            stats.free,
            bytes / PAGE_BYTES,
            reserve(stats.total, purpose),
        )
    };
    match missing() {
        0 => true,
        count => page_cache::reclaim(count) && missing() == 0,
    }
}
