// SPDX-License-Identifier: GPL-2.0
//! Frames the program gave up but Linux still pins (a transfer in flight, a registered buffer).
//! They are free again when Linux has cleared their exposed bits.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use ihk_ikc::exposed;

use crate::frames::owned::OwnedRun;
use crate::sync::SpinLock;
use crate::{ikc, partition};

/// Only the frame allocator's lock is taken under it.
static PINNED: SpinLock<Vec<OwnedRun>> = SpinLock::new(Vec::new());

/// Frees what Linux has let go of `run`, keeps the rest.
pub fn free_or_keep(mut run: OwnedRun) {
    while run.run().count != 0 {
        let in_block = partition::in_block(run.run().first);
        free_or_keep_in_block(run.split_front(in_block));
    }
}

fn free_or_keep_in_block(mut run: OwnedRun) {
    let bits = partition::exposed_bits();
    if !exposed::any_set(bits, run.run()) {
        return;
    }
    while run.run().count != 0 {
        let single = run.split_front(1);
        if exposed::is_set(bits, single.run().first) {
            keep(single);
        }
    }
}

/// Keeps `run` until Linux lets go of it.
pub fn keep(run: OwnedRun) {
    let mut pinned = PINNED.lock();
    let left = match pinned.last_mut() {
        Some(last) => last.append(run).err(),
        None => Some(run),
    };
    pinned.extend(left);
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

fn count(pinned: &[OwnedRun]) -> u64 {
    pinned.iter().map(|run| u64::from(run.run().count)).sum()
}

fn publish(pinned: &[OwnedRun]) {
    ikc::control()
        .usage
        .frames_pinned
        .store(count(pinned), Ordering::Relaxed);
}
