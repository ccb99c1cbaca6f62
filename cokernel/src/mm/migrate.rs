// SPDX-License-Identifier: GPL-2.0
//! Moving pages to other nodes. The caller holds the layout lock.
//!
//! Linux's mappings are withdrawn first. Then, page by page under the lock of the tables, the entry
//! is emptied and flushed; if Linux has not mapped the frame meanwhile, its contents move to the new
//! frame, else the old entry comes back. Whoever faults waits for the lock or is told to look again.

use cokernel_logic::frames::{Place, FRAMES_PER_BLOCK};
use cokernel_logic::policy::Policy;
use cokernel_logic::vma::Range;
use ihk_ikc::exposed;
use ihk_ikc::layout::PAGE_BYTES;

use crate::arch::pte::{Mapping, PageSize};
use crate::aspace::space::Inner;
use crate::frames::{allocator, refcount, watermark};
use crate::mm::revoke;
use crate::task::process::Process;
use crate::{ikc, partition};

/// Brings the pages of `range` where `policy` wants them, or only counts: how many 4 KiB pages are
/// elsewhere afterwards.
pub fn apply(process: &Process, range: Range, policy: &Policy, moves: bool) -> u64 {
    let wanted = |address: u64, page: &Mapping, node: u32| {
        let index = address / page.size.bytes();
        (!policy.accepts(node, index)).then(|| 1 << policy.place(node, index).near)
    };
    visit(process, range, moves, wanted)
}

/// Moves pages in `range` from each node to those that `wanted` names for it: how many 4 KiB pages
/// stayed.
pub fn between(process: &Process, range: Range, wanted: impl Fn(u32) -> Option<u64>) -> u64 {
    visit(process, range, true, |_, _, node| wanted(node))
}

/// Moves the page at `address` to a node of `nodes`, if possible.
pub fn migrate_page(process: &Process, address: u64, nodes: u64) {
    let range = Range {
        start: address,
        end: address + PAGE_BYTES,
    };
    visit(process, range, true, |_, _, _| Some(nodes));
}

/// Moves every page for which `wanted` names nodes: how many 4 KiB pages are not there afterwards.
fn visit(
    process: &Process,
    range: Range,
    moves: bool,
    wanted: impl Fn(u64, &Mapping, u32) -> Option<u64>,
) -> u64 {
    let space = &process.space;
    if moves {
        let seen = space.with(|inner| inner.exposed_frames(range));
        revoke::withdraw(process, range, seen);
    }
    let mut left = 0;
    let mut at = range.start;
    while let Some((address, page)) = space.with(|inner| inner.table.next_mapping(at, range.end)) {
        let from = at;
        at = address + page.size.bytes();
        let nodes = partition::node_of(page.pa).and_then(|node| wanted(address, &page, node));
        // So much is never free in one piece elsewhere, or not for long.
        let is_cut = page.size == PageSize::Giant
            && moves
            && nodes.is_some()
            && space.with(|inner| inner.table.split(address)).is_ok();
        if is_cut {
            at = from;
            continue;
        }
        let stays = nodes
            .is_some_and(|nodes| !moves || !space.with(|inner| move_page(inner, address, nodes)));
        left += u64::from(stays) * (page.size.bytes() / PAGE_BYTES);
        ikc::breathe();
    }
    left
}

/// Whether the page at `address` now lies on a node of `nodes`.
fn move_page(inner: &mut Inner, address: u64, nodes: u64) -> bool {
    let Some(old) = inner.table.lookup(address) else {
        return false;
    };
    let count = match old.size {
        PageSize::Small => 1,
        PageSize::Large => FRAMES_PER_BLOCK,
        PageSize::Giant => return false,
    };
    let place = Place {
        near: nodes.trailing_zeros(),
        allowed: nodes,
    };
    if refcount::is_shared(&old) || !watermark::has_room_for(old.size.bytes()) {
        return false;
    }
    let Some(mut frame) = allocator::alloc_run_at(count, place) else {
        return false;
    };
    let Some(run) = inner.table.take(address) else {
        return false;
    };
    let is_exposed = exposed::any_set(partition::exposed_bits(), run.run());
    let now = if is_exposed {
        run
    } else {
        frame.copy_from(run.start());
        frame.into()
    };
    // The tables above are there, so this cannot fail.
    let mapped = inner.table.map(address, now, old.flags);
    assert!(mapped.is_ok(), "a page lost its place while it moved");
    !is_exposed
}
