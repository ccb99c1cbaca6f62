// SPDX-License-Identifier: GPL-2.0
//! Extents: lists of the partition's frames as runs, neighbours joined.

use alloc::vec::Vec;
use core::ops::Deref;

use cokernel_logic::frame_runs;
pub use cokernel_logic::frame_runs::single;
use ihk_ikc::exposed;
use ihk_ikc::exposed::FrameRun;
use ihk_ikc::layout::PAGE_BYTES;

use crate::arch::pte::Mapping;
use crate::partition;

/// Frames as a list of runs.
#[derive(Default)]
pub struct ExtentList(Vec<FrameRun>);

impl ExtentList {
    /// Forgets all but the first `count` runs.
    pub fn truncate(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// Takes the last `count` runs out.
    pub fn split_back(&mut self, count: usize) -> Self {
        Self(self.0.split_off(self.0.len().saturating_sub(count)))
    }

    /// Adds one run.
    pub fn push(&mut self, run: FrameRun) {
        frame_runs::push(&mut self.0, run);
    }

    /// Adds the frames of a page if Linux may have mapped any.
    pub fn add_if_exposed(&mut self, mapping: &Mapping) {
        if let Some(run) =
            run_of(mapping).filter(|run| exposed::any_set(partition::exposed_bits(), *run))
        {
            self.push(run);
        }
    }
}

impl Deref for ExtentList {
    type Target = [FrameRun];

    fn deref(&self) -> &[FrameRun] {
        &self.0
    }
}

/// The frames of a page, if they are the partition's.
pub fn run_of(mapping: &Mapping) -> Option<FrameRun> {
    let first = partition::frame_number(mapping.pa)?;
    let count = u32::try_from(mapping.size.bytes() / PAGE_BYTES).ok()?;
    Some(FrameRun { first, count })
}
