// SPDX-License-Identifier: GPL-2.0
//! Frames as values that give themselves back. An [`OwnedRun`] is nobody else's; what a page table or the
//! page cache has of frames is a [`crate::frames::shared::SharedRun`].
//!
//! Page tables, the page cache, lists and pointers know frames by number or address. A value becomes
//! such knowledge by `into_raw`, and knowledge that is given up a value again by `from_raw`.

use core::mem;
use core::sync::atomic::AtomicU64;

use ihk_ikc::exposed::FrameRun;
use ihk_ikc::layout::PAGE_BYTES;
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::pte::PageSize;
use crate::frames::allocator;
use crate::partition::{self, PAGE_WORDS};

/// Frames with adjacent numbers that nobody else has. They are free again when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct OwnedRun(FrameRun);

impl OwnedRun {
    /// The value of `run`.
    ///
    /// # Safety
    ///
    /// Nobody has the frames.
    pub const unsafe fn from_raw(run: FrameRun) -> Self {
        Self(run)
    }

    /// As [`Self::run`], for a place that frees the frames itself.
    pub const fn into_raw(self) -> FrameRun {
        let run = self.0;
        mem::forget(self);
        run
    }

    /// The number of the first frame, and how many they are.
    pub const fn run(&self) -> FrameRun {
        self.0
    }

    /// Address of the first one.
    pub fn start(&self) -> PhysAddr {
        partition::frame_address(self.0.first)
    }

    /// Size of the page that they make.
    pub fn size(&self) -> PageSize {
        size_of(self.0)
    }

    /// The first frame as words, which Linux may read or write, too.
    pub fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        // SAFETY: the frame is this value's, and nobody views it otherwise while it is borrowed.
        unsafe { partition::page(self.start()) }
    }

    /// Fills all frames with zeros.
    pub fn zero(&mut self) {
        self.zero_part(0, u64::from(self.0.count) * PAGE_BYTES);
    }

    /// Fills `bytes` bytes from byte `at` on, whole frames, with zeros. Panics beyond the end.
    pub fn zero_part(&mut self, at: u64, bytes: u64) {
        assert!(at + bytes <= u64::from(self.0.count) * PAGE_BYTES);
        // SAFETY: these frames are this value's, which is borrowed for writing.
        unsafe { partition::zero(self.start() + at, bytes) };
    }

    /// Fills all frames with what the same number of frames from `from` on contains.
    pub fn copy_from(&mut self, from: PhysAddr) {
        for offset in (0..u64::from(self.0.count) * PAGE_BYTES).step_by(to_usize(PAGE_BYTES)) {
            // SAFETY: the target is this value's, which is borrowed for writing.
            unsafe { partition::copy(from + offset, self.start() + offset) };
        }
    }

    /// Takes the first `count` frames out, or all.
    pub fn split_front(&mut self, count: u32) -> Self {
        Self(split_front(&mut self.0, count))
    }

    /// Takes `next` in if it lies just behind.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn append(&mut self, next: Self) -> Result<(), Self> {
        if self.0.first + self.0.count != next.0.first {
            return Err(next);
        }
        self.0.count += next.into_raw().count;
        Ok(())
    }
}

impl Drop for OwnedRun {
    fn drop(&mut self) {
        if self.0.count != 0 {
            // SAFETY: the frames are this value's, which is gone now.
            unsafe { allocator::free(self.0) };
        }
    }
}

/// Takes the first `count` frames out of `run`, or all.
pub(super) fn split_front(run: &mut FrameRun, count: u32) -> FrameRun {
    let front = FrameRun {
        first: run.first,
        count: count.min(run.count),
    };
    run.first += front.count;
    run.count -= front.count;
    front
}

/// Size of the page that `run` makes. Panics if it makes none.
pub(super) fn size_of(run: FrameRun) -> PageSize {
    let sizes = [PageSize::Small, PageSize::Large, PageSize::Giant];
    let bytes = u64::from(run.count) * PAGE_BYTES;
    let size = sizes.into_iter().find(|size| size.bytes() == bytes);
    size.expect("a run that is no page")
}
