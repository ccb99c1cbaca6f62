// SPDX-License-Identifier: GPL-2.0
//! Frames the program gave up but Linux still pins (a transfer in flight, a registered buffer).
//! They are free again when Linux has cleared their exposed bits.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use cokernel_logic::frame_runs::{self, blocks_of, count};
use ihk_ikc::exposed;
use ihk_ikc::exposed::FrameRun;

use crate::frames::allocator;
use crate::sync::SpinLock;
use crate::{ikc, partition};

/// Only the frame allocator's lock is taken under it.
static PINNED: SpinLock<Vec<FrameRun>> = SpinLock::new(Vec::new());

/// Frees what Linux has let go of `run`, keeps the rest.
pub fn free_or_keep(run: FrameRun) {
    blocks_of(run).for_each(free_or_keep_in_block);
}

fn free_or_keep_in_block(run: FrameRun) {
    let bits = partition::exposed_bits();
    if !exposed::any_set(bits, run) {
        free(run);
        return;
    }
    for frame in run.first..run.first + run.count {
        let single = FrameRun {
            first: frame,
            count: 1,
        };
        if exposed::is_set(bits, frame) {
            keep(single);
        } else {
            free(single);
        }
    }
}

/// Keeps `run` until Linux lets go of it.
pub fn keep(run: FrameRun) {
    let mut pinned = PINNED.lock();
    frame_runs::push(&mut pinned, run);
    publish(&pinned);
}

/// Frees what Linux has let go of since. Cheap if nothing is pinned; `true` if something came free.
pub fn recheck() -> bool {
    let runs = {
        let mut pinned = PINNED.lock();
        if pinned.is_empty() {
            return false;
        }
        core::mem::take(&mut *pinned)
    };
    let before = count(&runs);
    for run in runs {
        free_or_keep(run);
    }
    let pinned = PINNED.lock();
    publish(&pinned);
    count(&pinned) < before
}

/// Gives `run` back to the frame allocator, block by block.
pub fn free(run: FrameRun) {
    for part in blocks_of(run) {
        allocator::free_run(partition::frame_address(part.first), part.count);
    }
}

fn publish(pinned: &[FrameRun]) {
    ikc::control()
        .usage
        .frames_pinned
        .store(count(pinned), Ordering::Relaxed);
}
