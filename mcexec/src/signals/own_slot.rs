// SPDX-License-Identifier: GPL-2.0
//! The slot of a worker, as signal handlers need to know it.
//!
//! Hop 6 of a delegated call asks it, too, if the data are in the bounce page of the slot.

use std::cell::Cell;

use ihk_ikc::slot::DelegationSlot;

thread_local! {
    /// The slot of this worker, with its index. Other threads have none.
    static OWN: Cell<Option<(u32, &'static DelegationSlot)>> = const { Cell::new(None) };
}

/// Makes this thread the worker of slot `index`.
pub(crate) fn set_own_slot(index: usize, slot: &'static DelegationSlot) {
    OWN.set(u32::try_from(index).ok().map(|index| (index, slot)));
}

/// Returns the index of this thread's slot, if it is a worker. May be called from a signal handler.
#[must_use]
pub(crate) fn own_slot() -> Option<u32> {
    OWN.get().map(|(index, _)| index)
}

/// Returns this thread's slot itself, if it is a worker. May be called from a signal handler.
#[must_use]
pub(super) fn shared() -> Option<&'static DelegationSlot> {
    OWN.get().map(|(_, slot)| slot)
}
