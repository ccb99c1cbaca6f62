// SPDX-License-Identifier: GPL-2.0
//! The frame allocator: runs of frames of one node, from this CPU's cache or from the table.

use cokernel_logic::frames::{Frames, Giant, Place, FRAMES_PER_BLOCK};
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch;
use crate::frames::{per_cpu_cache, prezero, table};
use crate::partition::{self, GIANT_BYTES};

/// A 4 KiB frame with undefined contents, from this CPU's node if it has one.
pub fn alloc_small() -> Option<PhysAddr> {
    alloc_run_at(1, here())
}

/// `count` (at most 512) adjacent frames with undefined contents, from this CPU's node if it has
/// such.
pub fn alloc_run(count: u32) -> Option<PhysAddr> {
    alloc_run_at(count, here())
}

/// `count` (at most 512) adjacent frames with undefined contents, from `place`.
pub fn alloc_run_at(count: u32, place: Place) -> Option<PhysAddr> {
    if count == 1 && place == here() {
        if let Some(frame) = per_cpu_cache::take(|add| refill(place, add)) {
            return Some(partition::frame_address(frame));
        }
    }
    with_all(|frames| frames.alloc_run(count, place)).map(partition::frame_address)
}

/// `count` (at most 512) adjacent frames from `place`, filled with zeros: such as were cleared
/// before, if there are any.
pub fn alloc_zeroed_run_at(count: u32, place: Place) -> Option<PhysAddr> {
    let run = with_all(|frames| frames.alloc_rather_zero(count, place))?;
    let address = partition::frame_address(run.first);
    if !run.is_zero {
        partition::zero(address, u64::from(count) * PAGE_BYTES);
    }
    Some(address)
}

/// An aligned GiB from `place`, with undefined contents but for what it says.
pub fn alloc_giant_at(place: Place) -> Option<(PhysAddr, Giant)> {
    if table::giant_count() == 0 {
        return None;
    }
    let giant = with_all(|frames| frames.alloc_giant(place))?;
    Some((partition::frame_address(giant.first), giant))
}

/// Tries `alloc`, and once more with everything that is free within its reach.
fn with_all<R>(mut alloc: impl FnMut(&mut Frames) -> Option<R>) -> Option<R> {
    table::with(&mut alloc).or_else(|| {
        // The missing frames may be in the per-CPU caches, or one of the CPUs is just clearing them.
        per_cpu_cache::drain_all(free_each);
        prezero::while_nobody_cleans(|| table::with(&mut alloc))
    })
}

fn refill(place: Place, add: &mut dyn FnMut(u32)) {
    table::with(|frames| {
        (0..per_cpu_cache::BATCH)
            .map_while(|_| frames.alloc_small(place))
            .for_each(add);
    });
}

fn free_each(numbers: &[u32]) {
    table::with(|frames| {
        for &frame in numbers {
            frames.free_small(frame).expect("frame freed twice");
        }
    });
}

/// Gives back what this CPU keeps for itself. It is about to idle.
pub fn drain_this_cpu() {
    per_cpu_cache::drain_this_cpu(free_each);
}

/// This CPU's node first, then any.
pub fn here() -> Place {
    Place::near(arch::cpu_node())
}

/// Takes a 4 KiB frame back. Panics if it is free already: memory would be given out twice.
pub fn free_small(address: PhysAddr) {
    free_run(address, 1);
}

/// Takes 2 MiB back. Panics like [`free_small`].
pub fn free_large(address: PhysAddr) {
    free_run(address, FRAMES_PER_BLOCK);
}

/// Takes 1 GiB back. Panics like [`free_small`].
pub fn free_giant(address: PhysAddr) {
    let blocks = (0..GIANT_BYTES).step_by(to_usize(LARGE_PAGE_BYTES));
    blocks.for_each(|offset| free_large(address + offset));
}

/// Takes `count` adjacent frames of one block back. Panics like [`free_small`].
pub fn free_run(address: PhysAddr, count: u32) {
    let frame = partition::frame_number(address).expect("freed frame is not the partition's");
    let is_near = count == 1 && partition::node_of(address) == Some(arch::cpu_node());
    if is_near && per_cpu_cache::put(frame, free_each) {
        return;
    }
    table::with(|frames| frames.free_run(frame, count)).expect("frame freed twice");
}
