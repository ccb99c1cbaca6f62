// SPDX-License-Identifier: GPL-2.0
//! Free frames are cleared by CPUs that wait, so that who maps memory need not do it. One CPU at a
//! time: clearing shall not take the memory's bandwidth from those that compute.
//!
//! Lock order: heap → [`CLEANING`] → frames.

use crate::frames::table;
use crate::sync::SpinLock;

/// Held by the CPU that clears a piece.
static CLEANING: SpinLock<()> = SpinLock::new(());

/// Clears at most `frames` free frames if too few are clear, and nobody else does so now; whether it
/// did. Takes no longer than that, and next to nothing if enough are clear. The caller holds no
/// spin lock, and looks for its work again afterwards.
pub fn clear_some(frames: u32) -> bool {
    let Some(node) = table::node_to_clean() else {
        return false;
    };
    let Some(_cleaning) = CLEANING.try_lock() else {
        return false;
    };
    table::clear_free_frames(node, frames)
}

/// Does `body` while no frame is out of reach for being cleared.
pub fn while_nobody_cleans<R>(body: impl FnOnce() -> R) -> R {
    let _quiet = CLEANING.lock();
    body()
}
