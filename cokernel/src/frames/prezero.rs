// SPDX-License-Identifier: GPL-2.0
//! Prezeroing: CPUs that wait clear free frames, so that a program that maps memory need not wait
//! for it. One CPU does it at a time: clearing shall not take the memory's bandwidth from those
//! that compute.
//!
//! Lock order: heap → [`CLEANING`] → frames.

use crate::frames::table;
use crate::sync::SpinLock;

/// Held by the CPU that clears a piece.
static CLEANING: SpinLock<()> = SpinLock::new(());

/// Clears at most `frames` free frames if too few are clear and no other CPU clears some now.
/// Returns whether it cleared any. If enough are clear it costs next to nothing. The caller holds
/// no spin lock, and looks for its work again afterwards.
pub fn clear_some(frames: u32) -> bool {
    let Some(node) = table::node_to_clean() else {
        return false;
    };
    let Some(_cleaning) = CLEANING.try_lock() else {
        return false;
    };
    table::clear_free_frames(node, frames)
}

/// Runs `body` while no CPU has taken a frame out of the allocator to clear it.
pub(super) fn while_nobody_cleans<R>(body: impl FnOnce() -> R) -> R {
    let _quiet = CLEANING.lock();
    body()
}
