// SPDX-License-Identifier: GPL-2.0
//! The frames of adjacent pages of a file, on their way from the page cache or from Linux into an
//! address space.

use alloc::vec;
use alloc::vec::Vec;

use cokernel_logic::frame_runs::{adjacent, NO_FRAME};
use ihk_ikc::exposed::FrameRun;

use crate::addr::count_of;
use crate::frames::shared::SharedRun;

/// For each of some pages a frame, of which this value has a count, or none.
pub struct PageFrames(Vec<u32>);

impl PageFrames {
    /// `pages` pages without frames.
    pub fn none(pages: usize) -> Self {
        Self(vec![NO_FRAME; pages])
    }

    /// The number of pages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of each page's frame.
    pub fn iter(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        let number = |&frame: &u32| (frame != NO_FRAME).then_some(frame);
        self.0.iter().map(number)
    }

    /// Gives frames to `page` and those behind it, which have none. Panics if there are not as many
    /// pages.
    pub fn put(&mut self, page: usize, run: impl Into<SharedRun>) {
        let FrameRun { first, count } = run.into().into_raw();
        for (place, frame) in self.0[page..][..count as usize].iter_mut().zip(first..) {
            *place = frame;
        }
    }

    /// Takes the frame of `page` out.
    pub fn take(&mut self, page: usize) -> Option<SharedRun> {
        let taken = self.take_run(page..page + 1)?;
        Some(taken.1)
    }

    /// Takes the first frame of the pages from `page` on out, with all that are adjacent to it, and says
    /// whose page it was.
    pub fn take_from(&mut self, page: usize) -> Option<(usize, SharedRun)> {
        self.take_run(page..self.0.len())
    }

    /// Takes all pages from `page` on out.
    pub fn split_off(&mut self, page: usize) -> Self {
        Self(self.0.split_off(page))
    }

    fn take_run(&mut self, pages: core::ops::Range<usize>) -> Option<(usize, SharedRun)> {
        let rest = self.0.get_mut(pages.clone())?;
        let at = rest.iter().position(|&frame| frame != NO_FRAME)?;
        let first = rest[at];
        let count = adjacent(&rest[at..]);
        rest[at..at + count].fill(NO_FRAME);
        let count = count_of(count);
        // SAFETY: `put` took the counts over, and these places have forgotten them.
        let run = unsafe { SharedRun::from_raw(FrameRun { first, count }) };
        Some((pages.start + at, run))
    }
}

impl Drop for PageFrames {
    fn drop(&mut self) {
        let mut at = 0;
        while let Some((page, run)) = self.take_from(at) {
            at = page + run.run().count as usize;
        }
    }
}
