// SPDX-License-Identifier: GPL-2.0
//! The frame allocator: runs of frames of one node, from this CPU's cache or from the table.

use cokernel_logic::frame_runs::blocks_of;
use cokernel_logic::frames::{Frames, Giant, Place, BLOCKS_PER_GIANT, FRAMES_PER_BLOCK};
use ihk_ikc::exposed::FrameRun;

use crate::frames::owned::OwnedRun;
use crate::frames::{per_cpu_cache, prezero, table};
use crate::{arch, partition};

/// `count` (at most 512) adjacent frames with undefined contents, from this CPU's node if it has
/// such.
pub fn alloc_run(count: u32) -> Option<OwnedRun> {
    alloc_run_at(count, here())
}

/// `count` (at most 512) adjacent frames with undefined contents, from `place`.
pub fn alloc_run_at(count: u32, place: Place) -> Option<OwnedRun> {
    if count == 1 && place == here() {
        if let Some(first) = per_cpu_cache::take(|add| refill(place, add)) {
            return Some(given_out(first, 1));
        }
    }
    let first = with_all(|frames| frames.alloc_run(count, place))?;
    Some(given_out(first, count))
}

/// `count` (at most 512) adjacent frames from `place`, filled with zeros: such as were cleared
/// before, if there are any.
pub fn alloc_zeroed_run_at(count: u32, place: Place) -> Option<OwnedRun> {
    let found = with_all(|frames| frames.alloc_rather_zero(count, place))?;
    let mut run = given_out(found.first, count);
    if !found.is_zero {
        run.zero();
    }
    Some(run)
}

/// An aligned GiB from `place`, with undefined contents but for what it says.
pub fn alloc_giant_at(place: Place) -> Option<(OwnedRun, Giant)> {
    if table::giant_count() == 0 {
        return None;
    }
    let giant = with_all(|frames| frames.alloc_giant(place))?;
    let run = given_out(giant.first, BLOCKS_PER_GIANT * FRAMES_PER_BLOCK);
    Some((run, giant))
}

/// `count` frames from `first` on, which the table or this CPU's cache has just given out.
const fn given_out(first: u32, count: u32) -> OwnedRun {
    // SAFETY: what lay there nobody has.
    unsafe { OwnedRun::from_raw(FrameRun { first, count }) }
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

/// Takes `run` back. Panics if some of it is free already: memory would be given out twice.
///
/// # Safety
///
/// It was given out, and nobody has it any more.
pub(super) unsafe fn free(run: FrameRun) {
    let is_near =
        || partition::node_of(partition::frame_address(run.first)) == Some(arch::cpu_node());
    if run.count == 1 && is_near() && per_cpu_cache::put(run.first, free_each) {
        return;
    }
    for part in blocks_of(run) {
        table::with(|frames| frames.free_run(part.first, part.count)).expect("frame freed twice");
    }
}
