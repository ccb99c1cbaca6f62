// SPDX-License-Identifier: GPL-2.0
//! The table of all frames under its lock, the counters that are published with it, and which frames are
//! free though nobody can have them.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cokernel_logic::frames::{FrameStats, Frames, MAX_NODES};
use ihk_ikc::control::NodeCounters;
use ihk_ikc::layout::PAGE_BYTES;
use spin::Once;

use crate::sync::SpinLock;
use crate::{arch, ikc, partition};

/// Innermost lock: nothing is taken under it.
static FRAMES: Once<SpinLock<Frames>> = Once::new();

/// Frames managed, to be read without the lock.
static TOTAL: AtomicU64 = AtomicU64::new(0);
/// Free frames, to be read without the lock. What the CPUs keep in their caches is not free.
static FREE: AtomicU64 = AtomicU64::new(0);
/// The number that [`giant_count`] returns.
static GIANTS: AtomicUsize = AtomicUsize::new(0);
/// Nodes that may have frames to clear, for a look without the lock: bit n = node n.
static TO_CLEAN: AtomicU64 = AtomicU64::new(0);
/// Frames that [`set_aside`] has counted. Changed under the lock of the frames.
static SET_ASIDE: AtomicU64 = AtomicU64::new(0);
/// Frames that [`may_be_reclaimed`] has counted. Changed under the lock of the frames.
static RECLAIMABLE: AtomicU64 = AtomicU64::new(0);
/// Frames that may be reclaimed, by node.
static RECLAIMABLE_AT: [AtomicU64; MAX_NODES as usize] =
    [const { AtomicU64::new(0) }; MAX_NODES as usize];

/// Makes `frames` the partition's, and publishes how many there are. The boot CPU, once.
pub(super) fn install(frames: Frames) {
    GIANTS.store(frames.giant_count(), Ordering::Relaxed);
    FRAMES.call_once(|| SpinLock::new(frames));
    with(|_| ());
}

/// Whether the frames are there.
pub fn is_ready() -> bool {
    FRAMES.is_completed()
}

/// The number of aligned GiBs in the partition, free or not; 0 if the CPU has no pages of that size.
pub fn giant_count() -> usize {
    GIANTS.load(Ordering::Relaxed)
}

/// A node that may have free frames to clear; this CPU's if it is one.
pub fn node_to_clean() -> Option<u32> {
    let nodes = TO_CLEAN.load(Ordering::Relaxed);
    let own = arch::cpu_node();
    if nodes & 1_u64.checked_shl(own).unwrap_or(0) != 0 {
        return Some(own);
    }
    (nodes != 0).then(|| nodes.trailing_zeros())
}

/// Clears at most `most` free frames of `node`; whether there were any to clear. One CPU at a time.
pub(super) fn clear_free_frames(node: u32, most: u32) -> bool {
    let Some(run) = with(|frames| frames.begin_cleaning(node, most)) else {
        return false;
    };
    let (start, bytes) = (
        partition::frame_address(run.first),
        u64::from(run.count) * PAGE_BYTES,
    );
    // SAFETY: they are free, and out of everybody's reach until `end_cleaning`.
    unsafe { partition::zero(start, bytes) };
    with(|frames| frames.end_cleaning(run));
    true
}

/// Notes that `count` frames are set aside: stacks for the next thread, or lists of the page cache
/// that may be reclaimed. The usage counters call them free, because nothing uses them; the
/// counters of the nodes do not, and programs cannot have them.
pub fn set_aside(count: u64) {
    if count != 0 {
        with(|_| SET_ASIDE.fetch_add(count, Ordering::Relaxed));
    }
}

/// Notes that `count` frames that were set aside are used again.
pub fn take_up(count: u64) {
    if count != 0 {
        with(|_| SET_ASIDE.fetch_sub(count, Ordering::Relaxed));
    }
}

/// `count` frames of the block of `frame` are in use only because somebody may want their content
/// again: the usage counters call them free.
pub(super) fn may_be_reclaimed(frame: u32, count: u64) {
    change_reclaimable(frame, count, AtomicU64::fetch_add);
}

/// `count` frames of the block of `frame` may no longer be reclaimed.
pub(super) fn used_again(frame: u32, count: u64) {
    change_reclaimable(frame, count, AtomicU64::fetch_sub);
}

fn change_reclaimable(frame: u32, count: u64, change: fn(&AtomicU64, u64, Ordering) -> u64) {
    if count != 0 {
        with(|frames| {
            let node = frames.note_change(frame);
            change(&RECLAIMABLE_AT[node as usize], count, Ordering::Relaxed);
            change(&RECLAIMABLE, count, Ordering::Relaxed);
        });
    }
}

/// The number of frames that [`may_be_reclaimed`].
pub fn reclaimable() -> u64 {
    RECLAIMABLE.load(Ordering::Relaxed)
}

/// The memory that there is, and how much of it is free.
pub fn stats() -> FrameStats {
    FrameStats {
        total: TOTAL.load(Ordering::Relaxed),
        free: FREE.load(Ordering::Relaxed),
    }
}

/// Runs `body` on the frames and publishes the counters.
pub(super) fn with<R>(body: impl FnOnce(&mut Frames) -> R) -> R {
    let frames = FRAMES.get().expect("frames are used before they are there");
    let mut frames = frames.lock();
    let result = body(&mut frames);
    TO_CLEAN.store(frames.to_clean(), Ordering::Relaxed);
    publish(&mut frames);
    result
}

/// Called under the lock of the frames, so that the last word is the latest.
fn publish(frames: &mut Frames) {
    let stats = frames.stats();
    TOTAL.store(stats.total, Ordering::Relaxed);
    FREE.store(stats.free, Ordering::Relaxed);
    let Some(control) = ikc::try_control() else {
        return;
    };
    let set_aside = SET_ASIDE.load(Ordering::Relaxed);
    let usage = &control.usage;
    usage.frames_total.store(stats.total, Ordering::Relaxed);
    let free = stats.free + set_aside + reclaimable();
    usage.frames_free.store(free, Ordering::Relaxed);
    control.frames_set_aside.store(set_aside, Ordering::Relaxed);
    let mut changed = frames.take_changed();
    while changed != 0 {
        let node = changed.trailing_zeros();
        changed &= changed - 1;
        publish_node(&control.nodes[node as usize], frames, node);
    }
}

fn publish_node(counters: &NodeCounters, frames: &Frames, node: u32) {
    let (stats, blocks) = frames.node_stats(node);
    let free = stats.free + RECLAIMABLE_AT[node as usize].load(Ordering::Relaxed);
    counters.frames_total.store(stats.total, Ordering::Relaxed);
    counters.frames_free.store(free, Ordering::Relaxed);
    counters.blocks_free.store(blocks, Ordering::Relaxed);
}

/// Each node has its counters.
const _: () = assert!(MAX_NODES as usize == ihk_ikc::layout::MAX_NODES);
