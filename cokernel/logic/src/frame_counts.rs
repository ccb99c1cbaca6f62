// SPDX-License-Identifier: GPL-2.0
//! Reference counts of frames: how many address spaces have a frame, beyond the first. Counts exist
//! only for blocks with a shared frame.
//!
//! A frame that is *kept* has one further owner who is no address space: the page cache. When only
//! that one is left, the frame is idle: it can be had back at any time.
//!
//! ```text
//!            keep          add                     add
//!  own ──────────► idle ◄───────► kept and shared ◄───► …
//!   ▲  ◄────────────┘   release         │ let_go
//!   │      let_go                       ▼        add
//!   └────────────────────────────── own or shared ◄───► shared by more
//!                        release                 release
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use ihk_ikc::exposed::FrameRun;

use crate::frame_runs::{blocks_of, single};
use crate::frames::FRAMES_PER_BLOCK;

/// The counts of one block.
struct Block {
    /// Per frame: address spaces that have it, minus one.
    further: [u32; FRAMES_PER_BLOCK as usize],
    /// Frames whose count is not 0.
    shared: u32,
}

/// The reference counts of all frames.
#[derive(Default)]
pub struct FrameCounts {
    /// By number of the block; grows to `block_count` when the first frame is shared.
    blocks: Vec<Option<Box<Block>>>,
    block_count: usize,
    /// A bit for each frame: it is kept as a page of a file.
    kept: Vec<u64>,
}

/// More address spaces have a frame than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

impl FrameCounts {
    /// Counts of no frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            block_count: 0,
            kept: Vec::new(),
        }
    }

    /// From now on the counts are those of `block_count` blocks; takes the memory for marks.
    pub fn set_size(&mut self, block_count: u32) {
        let words = (block_count * FRAMES_PER_BLOCK).div_ceil(64);
        self.block_count = block_count as usize;
        self.kept.resize(words as usize, 0);
    }

    /// One more address space has all frames of `run`. `woken` learns how many frames of a block,
    /// whose first one it is told, were idle before.
    ///
    /// # Errors
    ///
    /// [`Overflow`]: nothing was changed.
    pub fn add(&mut self, run: FrameRun, mut woken: impl FnMut(u32, u64)) -> Result<(), Overflow> {
        if blocks_of(run).any(|part| self.counts_of(part).contains(&u32::MAX)) {
            return Err(Overflow);
        }
        for part in blocks_of(run) {
            woken(part.first, self.raise(part));
        }
        Ok(())
    }

    /// An address space gives up `run`: `own` gets those frames that nobody else has, and `idle`
    /// learns how many frames of a block, whose first one it is told, are idle from now on.
    pub fn release(
        &mut self,
        run: FrameRun,
        mut own: impl FnMut(FrameRun),
        mut idle: impl FnMut(u32, u64),
    ) {
        for part in blocks_of(run) {
            idle(part.first, self.lower(part, &mut own));
        }
    }

    /// `frame`, which nobody else has, is kept from now on.
    pub fn keep(&mut self, frame: u32) {
        self.mark(frame, true);
    }

    /// `frame` is kept no longer. `true`: nobody else has it.
    pub fn let_go(&mut self, frame: u32) -> bool {
        self.mark(frame, false);
        let mut is_own = false;
        self.lower(single(frame), |_| is_own = true);
        is_own
    }

    /// Whether another address space has a frame of `run`, too.
    #[must_use]
    pub fn is_shared(&self, run: FrameRun) -> bool {
        blocks_of(run).any(|part| self.counts_of(part).iter().any(|&further| further != 0))
    }

    /// The number of address spaces that have `frame` beyond the first.
    #[must_use]
    pub fn further(&self, frame: u32) -> u32 {
        let counts = self.counts_of(single(frame));
        counts.first().copied().unwrap_or(0)
    }

    /// The counts of `part`, which lies in one block; none if all are 0.
    fn counts_of(&self, part: FrameRun) -> &[u32] {
        match self.blocks.get((part.first / FRAMES_PER_BLOCK) as usize) {
            Some(Some(block)) => &block.further[places_of(part)],
            _ => &[],
        }
    }

    fn mark(&mut self, frame: u32, kept: bool) {
        if let Some(word) = self.kept.get_mut(frame as usize / 64) {
            let bit = 1 << (frame % 64);
            *word = if kept { *word | bit } else { *word & !bit };
        }
    }

    /// Raises the counts of `part`, which lies in one block. Returns how many were kept and no address
    /// space had them.
    fn raise(&mut self, part: FrameRun) -> u64 {
        let index = (part.first / FRAMES_PER_BLOCK) as usize;
        if self.blocks.len() <= index {
            self.blocks.resize_with(self.block_count, || None);
        }
        let block = self.blocks[index].get_or_insert_with(|| {
            Box::new(Block {
                further: [0; FRAMES_PER_BLOCK as usize],
                shared: 0,
            })
        });
        let mut woken = 0;
        for (count, frame) in block.further[places_of(part)].iter_mut().zip(part.first..) {
            if *count == 0 {
                block.shared += 1;
                woken += u64::from(is_kept(&self.kept, frame));
            }
            *count += 1;
        }
        woken
    }

    /// Lowers the counts of those frames of `part`, which lies in one block, that are shared, and hands
    /// the others to `own`. Returns how many are kept and no address space has them any more.
    fn lower(&mut self, part: FrameRun, mut own: impl FnMut(FrameRun)) -> u64 {
        let slot = self
            .blocks
            .get_mut((part.first / FRAMES_PER_BLOCK) as usize);
        let mut none = None;
        let slot = slot.unwrap_or(&mut none);
        let Some(block) = slot else {
            own(part);
            return 0;
        };
        let mut idle = 0;
        for (count, first) in block.further[places_of(part)].iter_mut().zip(part.first..) {
            if *count == 0 {
                own(single(first));
                continue;
            }
            *count -= 1;
            if *count == 0 {
                block.shared -= 1;
                idle += u64::from(is_kept(&self.kept, first));
            }
        }
        if block.shared == 0 {
            *slot = None;
        }
        idle
    }
}

/// The places of the frames of `part`, which lies in one block, among those of the block.
fn places_of(part: FrameRun) -> Range<usize> {
    let first = (part.first % FRAMES_PER_BLOCK) as usize;
    first..first + part.count as usize
}

fn is_kept(kept: &[u64], frame: u32) -> bool {
    let word = kept.get(frame as usize / 64);
    word.is_some_and(|word| word & 1 << (frame % 64) != 0)
}

#[cfg(all(test, not(loom)))]
mod tests;
