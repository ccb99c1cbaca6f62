// SPDX-License-Identifier: GPL-2.0
//! The page of delegation slots of a process: the only place that turns its address into slots.

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::slot::{DelegationSlot, SLOTS_PER_PAGE};
use x86_64::PhysAddr;

use crate::mm::phys;

/// A frame that holds [`SLOTS_PER_PAGE`] slots. Who drops it has given the frame to
/// [`crate::mm::revoke`] first: Linux may have it mapped.
pub struct SlotPage(PhysAddr);

impl SlotPage {
    /// A page of free slots, if there is a frame.
    pub fn new() -> Option<Self> {
        let frame = phys::alloc_small()?;
        phys::zero(frame, PAGE_BYTES);
        Some(Self(frame))
    }

    /// Where Linux finds it.
    pub fn frame(&self) -> PhysAddr {
        self.0
    }

    /// Slot `index`. Panics if there is none: indices are the co-kernel's own.
    pub fn slot(&self, index: u32) -> &DelegationSlot {
        assert!((index as usize) < SLOTS_PER_PAGE, "no such slot");
        let first = phys::direct_map_ptr(self.0).cast::<DelegationSlot>();
        // SAFETY: `new` allocated the frame, which 32 slots fill exactly, and it is given back
        // only when the process, whose part this value is, has no thread left to call this.
        let slot = unsafe { first.add(index as usize) };
        // SAFETY: as above; a slot is atomics only, for which zeroed memory is valid, and Linux
        // changes it through atomics, too.
        unsafe { &*slot }
    }
}
