// SPDX-License-Identifier: GPL-2.0
//! The pages that a process shares with its proxy, slots and bounce pages: the only place that turns
//! their addresses into slots.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::slot;
use ihk_ikc::slot::{DelegationSlot, SHARED_PAGES, SLOTS_PER_PAGE, SLOT_PAGES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::uaccess;
use crate::frames::extents::single;
use crate::frames::shared::{SharedExtents, SharedRun};
use crate::frames::watermark;
use crate::partition;

/// Frames that hold [`SLOTS_PER_PAGE`] slots each, then bounce pages; all but the first come when they
/// are needed and none goes before the process.
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
        let mut frame = watermark::alloc_structure()?;
        frame.zero();
        place.store(frame.start().as_u64(), Ordering::Release);
        let _ = frame.into_raw();
        Some(())
    }

    /// The physical address of page `page`, for Linux, if the page is there.
    pub fn frame(&self, page: usize) -> Option<PhysAddr> {
        let word = self.0.get(page)?.load(Ordering::Acquire);
        (word != 0).then(|| PhysAddr::new(word))
    }

    /// Takes all frames out. Linux may have them mapped.
    ///
    /// # Safety
    ///
    /// Nobody uses a slot or a bounce page of it, or will.
    pub unsafe fn take_frames(&self) -> SharedExtents {
        let mut frames = SharedExtents::default();
        for (page, word) in self.0.iter().enumerate() {
            if let Some(frame) = self.frame(page).and_then(partition::frame_number) {
                word.store(0, Ordering::Relaxed);
                // SAFETY: `add_page` took it from the allocator, and by contract nobody looks at it.
                frames.push(unsafe { SharedRun::from_raw(single(frame)) });
            }
        }
        frames
    }

    /// The `bytes` from byte `at` on of the bounce page of slot `index`; `None` if it has none, or there
    /// is no frame. For the slot's own thread. They end within the page.
    pub fn bounce_page(&self, index: u32, at: u64, bytes: u64) -> Option<BouncePart<'_>> {
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
            slots: PhantomData,
        })
    }

    /// Slot `index`. Panics if there is none: indices are the co-kernel's own.
    pub fn slot(&self, index: u32) -> &DelegationSlot {
        let index = index as usize;
        debug_assert!(index / SLOTS_PER_PAGE < SLOT_PAGES);
        let frame = self.frame(index / SLOTS_PER_PAGE).expect("no such slot");
        let first = partition::direct_map_ptr(frame).cast::<DelegationSlot>();
        // SAFETY: `add_page` allocated the frame, which 32 slots fill exactly, and it is taken out
        // only when nobody uses the slot any more, as `take_frames` demands.
        let slot = unsafe { first.add(index % SLOTS_PER_PAGE) };
        // SAFETY: as above; a slot is atomics only, for which zeroed memory is valid, and Linux
        // changes it through atomics, too.
        unsafe { &*slot }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: slots and bounce pages are borrowed from this value.
        drop(unsafe { self.take_frames() });
    }
}

/// A part of a slot's bounce page, for the length of a call.
pub struct BouncePart<'a> {
    /// In the kernel's map of the partition.
    start: *mut u8,
    bytes: usize,
    slots: PhantomData<&'a Slots>,
}

impl BouncePart<'_> {
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
