// SPDX-License-Identifier: GPL-2.0
//! Blocks of 2 MiB for the heap when memory is too broken for a long run of frames: lists of areas
//! and frames grow in work that cannot fail, such as giving memory back.

use ihk_ikc::exposed::FrameRun;
use spin::Once;

use crate::frames::allocator;
use crate::frames::owned::OwnedRun;
use crate::partition;
use crate::sync::SpinLock;

/// As many as CPUs can need at once before one of them has finished; what a CPU holds is short-lived.
const BLOCKS: usize = 2;
/// A partition with fewer blocks keeps none aside: its programs cannot make such long lists.
const FEW_BLOCKS: u32 = 32;

struct Block {
    run: OwnedRun,
    is_taken: bool,
}

/// Nothing else is locked under it.
static STORE: Once<SpinLock<[Option<Block>; BLOCKS]>> = Once::new();

/// Sets the blocks aside, as far as there are any. Once, when the frames are there.
pub fn init() {
    let block = |_| {
        if partition::block_count() < FEW_BLOCKS {
            return None;
        }
        let run = allocator::alloc_run(cokernel_logic::frames::FRAMES_PER_BLOCK)?;
        Some(Block {
            run,
            is_taken: false,
        })
    };
    let blocks = core::array::from_fn(block);
    STORE.call_once(|| SpinLock::new(blocks));
}

/// The frames of a block, if one is left: they are the heap's until [`put`].
pub(super) fn take() -> Option<FrameRun> {
    let mut blocks = STORE.get()?.lock();
    let block = blocks.iter_mut().flatten().find(|block| !block.is_taken)?;
    block.is_taken = true;
    Some(block.run.run())
}

/// Takes the block back that begins with frame `first`, if there is such. Returns whether there is.
///
/// # Safety
///
/// Nobody uses it any more.
pub(super) unsafe fn put(first: u32) -> bool {
    let Some(store) = STORE.get() else {
        return false;
    };
    let mut blocks = store.lock();
    let block = blocks
        .iter_mut()
        .flatten()
        .find(|block| block.run.run().first == first);
    block.map(|block| block.is_taken = false).is_some()
}
