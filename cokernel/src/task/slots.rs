// SPDX-License-Identifier: GPL-2.0
//! The pages that a process shares with its proxy, slots and bounce pages: the only place that turns
//! their addresses into slots.

use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::slot;
use ihk_ikc::slot::{DelegationSlot, SHARED_PAGES, SLOTS_PER_PAGE, SLOT_PAGES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::uaccess;
use crate::frames::watermark;
use crate::partition;

/// Frames that hold [`SLOTS_PER_PAGE`] slots each, then bounce pages; all but the first come when they
/// are needed and none goes before the process. Who drops it has given the frames to
/// [`crate::mm::revoke`] first: Linux may have them mapped.
pub struct Slots([AtomicU64; SHARED_PAGES]);

impl Slots {
    /// One page of free slots, if there is a frame.
    pub fn new() -> Option<Self> {
        let slots = Self([const { AtomicU64::new(0) }; SHARED_PAGES]);
        slots.add_page(0)?;
        Some(slots)
    }

    /// Adds page `page`, which is not there yet. `None` without a frame or beyond the last page. The
    /// caller makes sure that nobody else adds it.
    pub fn add_page(&self, page: usize) -> Option<()> {
        let place = self.0.get(page)?;
        let frame = watermark::alloc_structure()?;
        partition::zero(frame, PAGE_BYTES);
        place.store(frame.as_u64(), Ordering::Release);
        Some(())
    }

    /// The physical address of page `page`, for Linux, if the page is there.
    pub fn frame(&self, page: usize) -> Option<PhysAddr> {
        let word = self.0.get(page)?.load(Ordering::Acquire);
        (word != 0).then(|| PhysAddr::new(word))
    }

    /// All frames.
    pub fn frames(&self) -> impl Iterator<Item = PhysAddr> + '_ {
        (0..SHARED_PAGES).filter_map(|page| self.frame(page))
    }

    /// The `bytes` from byte `at` on of the bounce page of slot `index`; `None` if it has none, or there
    /// is no frame. For the slot's own thread. They end within the page.
    pub fn bounce_page(&self, index: u32, at: u64, bytes: u64) -> Option<BouncePart> {
        let page = slot::bounce_page(index as usize)?;
        if self.frame(page).is_none() {
            // Nobody needs it: what is kept for tables and stacks is not for this.
            if !watermark::has_room_for(PAGE_BYTES) {
                return None;
            }
            self.add_page(page)?;
        }
        let end = at.checked_add(bytes).filter(|end| *end <= PAGE_BYTES)?;
        Some(BouncePart {
            start: partition::direct_map_ptr(self.frame(page)? + at),
            bytes: to_usize(end - at),
        })
    }

    /// Slot `index`. Panics if there is none: indices are the co-kernel's own.
    pub fn slot(&self, index: u32) -> &DelegationSlot {
        let index = index as usize;
        debug_assert!(index / SLOTS_PER_PAGE < SLOT_PAGES);
        let frame = self.frame(index / SLOTS_PER_PAGE).expect("no such slot");
        let first = partition::direct_map_ptr(frame).cast::<DelegationSlot>();
        // SAFETY: `add_page` allocated the frame, which 32 slots fill exactly, and it is given back
        // only when the process, whose part this value is, has no thread left to call this.
        let slot = unsafe { first.add(index % SLOTS_PER_PAGE) };
        // SAFETY: as above; a slot is atomics only, for which zeroed memory is valid, and Linux
        // changes it through atomics, too.
        unsafe { &*slot }
    }
}

/// A part of a slot's bounce page, for the length of a call.
pub struct BouncePart {
    /// In the kernel's map of the partition.
    pub start: *mut u8,
    pub bytes: usize,
}

impl BouncePart {
    /// Copies the program's bytes from `address` on.
    pub fn fill_from(&self, address: u64) -> Result<(), uaccess::Fault> {
        // SAFETY: `Slots::bounce_page` made it of a frame that stays for as long as the process; the
        // proxy may write to it meanwhile, which no reference forbids.
        unsafe { uaccess::read_raw(address, self.start, self.bytes) }
    }

    /// Copies the first `bytes` of it to the program; `bytes` is no more than the part has.
    pub fn copy_to(&self, address: u64, bytes: u64) -> Result<(), uaccess::Fault> {
        let bytes = self.bytes.min(to_usize(bytes));
        // SAFETY: as in `fill_from`.
        unsafe { uaccess::write_raw(address, self.start, bytes) }
    }
}
