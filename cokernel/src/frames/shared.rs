// SPDX-License-Identifier: GPL-2.0
//! Counts of frames ([`refcount`]) as values that give themselves up: what a page table or the page cache
//! has of frames that others may have, too.

use core::mem;

use ihk_ikc::exposed::FrameRun;
use x86_64::PhysAddr;

use crate::arch::pte::PageSize;
use crate::frames::extents::ExtentList;
use crate::frames::owned::{size_of, split_front, OwnedRun};
use crate::frames::{pinned, refcount};
use crate::partition;

/// A count of each of some frames with adjacent numbers. When it is dropped, those that nobody else has are free
/// again, as soon as Linux lets go of them.
#[must_use]
#[derive(Debug)]
pub struct SharedRun(FrameRun);

impl SharedRun {
    /// The value of `run`.
    ///
    /// # Safety
    ///
    /// A count of each frame was its holder's, who has it no more.
    pub const unsafe fn from_raw(run: FrameRun) -> Self {
        Self(run)
    }

    /// As [`Self::run`], for a place that gives the counts up itself.
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

    /// Takes the first `count` frames out, or all.
    pub fn split_front(&mut self, count: u32) -> Self {
        Self(split_front(&mut self.0, count))
    }

    /// Gives the counts up and hands those frames to `dispose` that nobody else has.
    pub fn give_up(self, dispose: impl FnMut(OwnedRun)) {
        // SAFETY: the counts are this value's, which ends here.
        unsafe { refcount::lower(self.into_raw(), dispose) };
    }
}

impl From<OwnedRun> for SharedRun {
    /// Frames that nobody else has have one count each.
    fn from(run: OwnedRun) -> Self {
        Self(run.into_raw())
    }
}

impl Drop for SharedRun {
    fn drop(&mut self) {
        if self.0.count != 0 {
            self.split_front(self.0.count).give_up(pinned::free_or_keep);
        }
    }
}

/// A count of each frame of some extents, which it gives up when it is dropped.
#[derive(Default)]
pub struct SharedExtents(ExtentList);

impl SharedExtents {
    /// The frames as a list.
    pub const fn list(&self) -> &ExtentList {
        &self.0
    }

    /// Takes `run` in.
    pub fn push(&mut self, run: impl Into<SharedRun>) {
        self.0.push(run.into().into_raw());
    }

    /// Takes the last `count` runs out.
    pub fn split_back(&mut self, count: usize) -> Self {
        Self(self.0.split_back(count))
    }

    /// Hands the runs to `take`, one by one.
    pub fn for_each(mut self, mut take: impl FnMut(SharedRun)) {
        for &run in mem::take(&mut self.0).iter() {
            // SAFETY: `push` took the counts over, and nothing else names this run.
            take(unsafe { SharedRun::from_raw(run) });
        }
    }
}

impl Drop for SharedExtents {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            mem::take(self).for_each(drop);
        }
    }
}
