// SPDX-License-Identifier: GPL-2.0
//! Reference counts of frames: how many address spaces have a frame, beyond the first. Forks raise
//! the counts, whoever takes a frame out of an address space lowers them, and the last one frees
//! it.
//!
//! The page cache ([`crate::frames::page_cache`]) counts as an address space more: while it has a
//! page, every address space that has it is a further one, so none of them writes it or frees it.
//!
//! Lock order: like the frame allocator's lock, before the heap's.

use cokernel_logic::frame_counts::FrameCounts;
pub use cokernel_logic::frame_counts::Overflow;
use ihk_ikc::exposed::FrameRun;

use crate::arch::pte::Mapping;
use crate::frames::extents;
use crate::frames::table;
use crate::partition;
use crate::sync::SpinLock;

static COUNTS: SpinLock<FrameCounts> = SpinLock::new(FrameCounts::new());

/// Makes room for marks of kept frames. Once, when the heap works.
pub fn init() {
    COUNTS.lock().set_size(partition::block_count());
}

/// One more address space has all frames of `run`.
///
/// # Errors
///
/// `Err` if a count would overflow; nothing was changed.
pub fn add(run: FrameRun) -> Result<(), Overflow> {
    COUNTS.lock().add(run, table::used_again)
}

/// An address space gives up `run`: hands those frames to `free` that nobody else has.
pub fn release(run: FrameRun, mut free: impl FnMut(FrameRun)) {
    let mut own = extents::ExtentList::new();
    COUNTS
        .lock()
        .release(run, |run| own.push(run), table::may_be_reclaimed);
    own.as_slice().iter().copied().for_each(&mut free);
}

/// `frame`, which nobody else has, is kept from now on.
pub fn keep(frame: u32) {
    let mut counts = COUNTS.lock();
    counts.keep(frame);
    table::may_be_reclaimed(frame, 1);
}

/// `frame` is kept no longer. `true`: nobody else has it, free it.
pub fn let_go(frame: u32) -> bool {
    let mut counts = COUNTS.lock();
    let is_free = counts.let_go(frame);
    if is_free {
        table::used_again(frame, 1);
    }
    is_free
}

/// Whether another address space has a frame of `mapping`, too.
pub fn is_shared(mapping: &Mapping) -> bool {
    extents::run_of(mapping).is_some_and(|run| COUNTS.lock().is_shared(run))
}

/// Whether no address space has `frame`, which is kept.
pub fn is_idle(frame: u32) -> bool {
    COUNTS.lock().further(frame) == 0
}
