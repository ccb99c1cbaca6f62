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

use ihk_ikc::exposed::FrameRun;

use crate::frame_runs::{blocks_of, frames};
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

/// The outcome of lowering a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lowered {
    /// Somebody has the frame still.
    Shared,
    /// It is kept, but no address space has it any more.
    Idle,
    /// Nobody else has it.
    Own,
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
    #[inline]
    pub fn add(&mut self, run: FrameRun, mut woken: impl FnMut(u32, u64)) -> Result<(), Overflow> {
        if frames(run).any(|frame| self.further(frame) == u32::MAX) {
            return Err(Overflow);
        }
        for part in blocks_of(run) {
            let count = frames(part).filter(|&frame| self.raise(frame)).count();
            woken(part.first, count as u64);
        }
        Ok(())
    }

    /// An address space gives up `run`: `own` gets those frames that nobody else has, and `idle`
    /// learns how many frames of a block, whose first one it is told, are idle from now on.
    #[inline]
    pub fn release(
        &mut self,
        run: FrameRun,
        mut own: impl FnMut(FrameRun),
        mut idle: impl FnMut(u32, u64),
    ) {
        for part in blocks_of(run) {
            if !self.has_shared(part.first) {
                own(part);
                continue;
            }
            let mut idle_ones = 0;
            for first in frames(part) {
                match self.lower(first) {
                    Lowered::Own => own(FrameRun { first, count: 1 }),
                    Lowered::Idle => idle_ones += 1,
                    Lowered::Shared => {}
                }
            }
            idle(part.first, idle_ones);
        }
    }

    /// `frame`, which nobody else has, is kept from now on.
    pub fn keep(&mut self, frame: u32) {
        self.mark(frame, true);
    }

    /// `frame` is kept no longer. `true`: nobody else has it.
    pub fn let_go(&mut self, frame: u32) -> bool {
        self.mark(frame, false);
        self.lower(frame) == Lowered::Own
    }

    /// Whether another address space has a frame of `run`, too.
    #[inline]
    #[must_use]
    pub fn is_shared(&self, run: FrameRun) -> bool {
        blocks_of(run)
            .filter(|part| self.has_shared(part.first))
            .flat_map(frames)
            .any(|frame| self.further(frame) != 0)
    }

    /// Whether the block of `frame` has shared frames; most have not.
    fn has_shared(&self, frame: u32) -> bool {
        let block = self.blocks.get((frame / FRAMES_PER_BLOCK) as usize);
        block.is_some_and(Option::is_some)
    }

    /// The number of address spaces that have `frame` beyond the first.
    #[must_use]
    pub fn further(&self, frame: u32) -> u32 {
        match self.blocks.get((frame / FRAMES_PER_BLOCK) as usize) {
            Some(Some(block)) => block.further[(frame % FRAMES_PER_BLOCK) as usize],
            _ => 0,
        }
    }

    fn is_kept(&self, frame: u32) -> bool {
        let word = self.kept.get(frame as usize / 64);
        word.is_some_and(|word| word & 1 << (frame % 64) != 0)
    }

    fn mark(&mut self, frame: u32, kept: bool) {
        if let Some(word) = self.kept.get_mut(frame as usize / 64) {
            let bit = 1 << (frame % 64);
            *word = if kept { *word | bit } else { *word & !bit };
        }
    }

    fn block_of(&mut self, frame: u32) -> &mut Block {
        let index = (frame / FRAMES_PER_BLOCK) as usize;
        if self.blocks.len() <= index {
            self.blocks.resize_with(self.block_count, || None);
        }
        self.blocks[index].get_or_insert_with(|| {
            Box::new(Block {
                further: [0; FRAMES_PER_BLOCK as usize],
                shared: 0,
            })
        })
    }

    /// Raises the count of `frame`; `true` if it was kept and no address space had it.
    fn raise(&mut self, frame: u32) -> bool {
        let block = self.block_of(frame);
        let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
        let is_first = *count == 0;
        block.shared += u32::from(is_first);
        *count += 1;
        is_first && self.is_kept(frame)
    }

    /// Lowers the count of `frame`, if it is shared.
    fn lower(&mut self, frame: u32) -> Lowered {
        let slot = self.blocks.get_mut((frame / FRAMES_PER_BLOCK) as usize);
        let Some(slot) = slot else {
            return Lowered::Own;
        };
        let Some(block) = slot else {
            return Lowered::Own;
        };
        let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
        if *count == 0 {
            return Lowered::Own;
        }
        *count -= 1;
        let is_last = *count == 0;
        block.shared -= u32::from(is_last);
        if block.shared == 0 {
            *slot = None;
        }
        if is_last && self.is_kept(frame) {
            Lowered::Idle
        } else {
            Lowered::Shared
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
