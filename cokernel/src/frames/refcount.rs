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
use crate::frames::owned::OwnedRun;
use crate::frames::shared::SharedRun;
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
/// A count would overflow; nothing was changed.
///
/// # Safety
///
/// Somebody has a count of each frame and keeps it until this returns.
pub unsafe fn add(run: FrameRun) -> Result<SharedRun, Overflow> {
    COUNTS.lock().add(run, table::used_again)?;
    // SAFETY: one count more of each is what was just noted.
    Ok(unsafe { SharedRun::from_raw(run) })
}

/// An address space gives up `run`: hands those frames to `dispose` that nobody else has.
///
/// # Safety
///
/// It has a count of each, and no longer.
pub(super) unsafe fn lower(run: FrameRun, mut dispose: impl FnMut(OwnedRun)) {
    let mut own = extents::ExtentList::default();
    COUNTS
        .lock()
        .release(run, |run| own.push(run), table::may_be_reclaimed);
    for &run in own.iter() {
        // SAFETY: the caller had the only count of each.
        dispose(unsafe { OwnedRun::from_raw(run) });
    }
}

/// `frame`, which nobody else has, is kept from now on.
pub(super) fn keep(frame: u32) {
    let mut counts = COUNTS.lock();
    counts.keep(frame);
    table::may_be_reclaimed(frame, 1);
}

/// `frame` is kept no longer: what it is now, if nobody else has it.
///
/// # Safety
///
/// The page cache has a count of it, and no longer.
pub(super) unsafe fn let_go(frame: u32) -> Option<OwnedRun> {
    let mut counts = COUNTS.lock();
    if !counts.let_go(frame) {
        return None;
    }
    table::used_again(frame, 1);
    // SAFETY: the page cache had the only count.
    Some(unsafe { OwnedRun::from_raw(extents::single(frame)) })
}

/// Whether another address space has a frame of `mapping`, too.
pub fn is_shared(mapping: &Mapping) -> bool {
    extents::run_of(mapping).is_some_and(|run| COUNTS.lock().is_shared(run))
}

/// Whether no address space has `frame`, which is kept.
pub fn is_idle(frame: u32) -> bool {
    COUNTS.lock().further(frame) == 0
}
