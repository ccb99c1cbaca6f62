// SPDX-License-Identifier: GPL-2.0
//! Which frames are free: blocks of 2 MiB, each with a bitmap of its 4 KiB frames.
//!
//! A block is wholly free, partly used or full. Small frames come from partly used blocks first, so
//! that whole blocks stay whole for large pages. Both kinds of blocks with something free hang in a
//! doubly linked list of block numbers; every operation takes constant time (a run: one pass over
//! the partly used blocks).

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Small frames in a block.
pub const FRAMES_PER_BLOCK: u32 = 512;
/// End of a list.
const NONE: u32 = u32::MAX;
/// Words of a block's bitmap.
const WORDS: usize = (FRAMES_PER_BLOCK / 64) as usize;
/// Partly used blocks looked at for a run before a whole block is broken.
const RUN_SEARCH: usize = 16;

/// Why a frame was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// No such frame.
    OutOfRange,
    /// It is free already.
    AlreadyFree,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameStats {
    /// Frames managed.
    pub total: u64,
    /// Of these, free.
    pub free: u64,
}

#[derive(Clone, Copy)]
struct Block {
    /// Bit set: the frame is in use, or not ours to give out.
    used: [u64; WORDS],
    /// Clear bits of `used`.
    free: u32,
    next: u32,
    previous: u32,
}

impl Block {
    const FULL: Self = Self {
        used: [u64::MAX; WORDS],
        free: 0,
        next: NONE,
        previous: NONE,
    };

    fn is_used(&self, frame: u32) -> bool {
        self.used[(frame / 64) as usize] & 1 << (frame % 64) != 0
    }

    fn first_free(&self) -> Option<u32> {
        let (word, bits) = (0u32..)
            .zip(self.used)
            .find(|(_, bits)| *bits != u64::MAX)?;
        Some(word * 64 + (!bits).trailing_zeros())
    }

    /// First of `count` adjacent free frames.
    fn find_run(&self, count: u32) -> Option<u32> {
        let mut length = 0;
        for frame in 0..FRAMES_PER_BLOCK {
            length = if self.is_used(frame) { 0 } else { length + 1 };
            if length == count {
                return Some(frame + 1 - count);
            }
        }
        None
    }

    /// Marks frames as used or free; they were all the opposite.
    fn set(&mut self, first: u32, count: u32, used: bool) {
        for (word, mask) in masks(first, count) {
            let word = &mut self.used[word];
            *word = if used { *word | mask } else { *word & !mask };
        }
        self.free = if used {
            self.free - count
        } else {
            self.free + count
        };
    }

    fn are_used(&self, first: u32, count: u32) -> bool {
        masks(first, count).all(|(word, mask)| self.used[word] & mask == mask)
    }
}

/// The bitmap's words that hold frames `first..first + count` of a block, and which bits of them.
fn masks(first: u32, count: u32) -> impl Iterator<Item = (usize, u64)> {
    let end = first + count;
    (first / 64..end.div_ceil(64)).map(move |word| {
        let low = first.max(word * 64) - word * 64;
        let high = end.min(word * 64 + 64) - word * 64;
        (word as usize, u64::MAX >> (64 - (high - low)) << low)
    })
}

/// The frames of a partition, numbered from 0.
pub struct Frames {
    blocks: Box<[Block]>,
    /// Heads of the lists: wholly free blocks, partly used blocks.
    whole: u32,
    partial: u32,
    stats: FrameStats,
}

impl Frames {
    /// `blocks` blocks without a single free frame; [`Self::add`] brings them in.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        let blocks: Vec<Block> = (0..blocks).map(|_| Block::FULL).collect();
        Self {
            blocks: blocks.into_boxed_slice(),
            whole: NONE,
            partial: NONE,
            stats: FrameStats::default(),
        }
    }

    /// Bytes of heap that [`Self::new`] takes for `blocks` blocks.
    #[must_use]
    pub const fn footprint(blocks: u32) -> usize {
        size_of::<Block>() * blocks as usize
    }

    /// Frames `first..first + count` are ours to give out from now on.
    ///
    /// # Errors
    ///
    /// See [`FreeError`]; the frames before the offending one were added.
    pub fn add(&mut self, first: u32, count: u32) -> Result<(), FreeError> {
        let mut frame = first;
        let end = first.checked_add(count).ok_or(FreeError::OutOfRange)?;
        while frame < end {
            let take = (FRAMES_PER_BLOCK - frame % FRAMES_PER_BLOCK).min(end - frame);
            self.free_run(frame, take)?;
            self.stats.total += u64::from(take);
            frame += take;
        }
        Ok(())
    }

    /// One frame.
    pub fn alloc_small(&mut self) -> Option<u32> {
        let block = if self.partial == NONE {
            self.whole
        } else {
            self.partial
        };
        let frame = self.blocks.get(block as usize)?.first_free()?;
        self.take(block, frame, 1);
        Some(block * FRAMES_PER_BLOCK + frame)
    }

    /// The first frame of a whole block.
    pub fn alloc_large(&mut self) -> Option<u32> {
        let block = self.whole;
        self.blocks.get(block as usize)?;
        self.take(block, 0, FRAMES_PER_BLOCK);
        Some(block * FRAMES_PER_BLOCK)
    }

    /// The first of `count` adjacent frames that lie in one block.
    pub fn alloc_run(&mut self, count: u32) -> Option<u32> {
        if count == 0 || count > FRAMES_PER_BLOCK {
            return None;
        }
        let (block, frame) = self.partial_run(count).or_else(|| {
            self.blocks.get(self.whole as usize)?;
            Some((self.whole, 0))
        })?;
        self.take(block, frame, count);
        Some(block * FRAMES_PER_BLOCK + frame)
    }

    /// Takes back what [`Self::alloc_small`] gave, or one frame of a broken block.
    ///
    /// # Errors
    ///
    /// See [`FreeError`]; nothing was changed.
    pub fn free_small(&mut self, frame: u32) -> Result<(), FreeError> {
        self.free_run(frame, 1)
    }

    /// Takes back the whole block that begins at `frame`.
    ///
    /// # Errors
    ///
    /// See [`FreeError`]; nothing was changed.
    pub fn free_large(&mut self, frame: u32) -> Result<(), FreeError> {
        self.free_run(frame, FRAMES_PER_BLOCK)
    }

    /// Takes back `count` adjacent frames of one block.
    ///
    /// # Errors
    ///
    /// See [`FreeError`]; nothing was changed.
    pub fn free_run(&mut self, first: u32, count: u32) -> Result<(), FreeError> {
        let (number, frame) = (first / FRAMES_PER_BLOCK, first % FRAMES_PER_BLOCK);
        let block = self
            .blocks
            .get_mut(number as usize)
            .ok_or(FreeError::OutOfRange)?;
        if count > FRAMES_PER_BLOCK - frame {
            return Err(FreeError::OutOfRange);
        }
        if !block.are_used(frame, count) {
            return Err(FreeError::AlreadyFree);
        }
        let before = block.free;
        block.set(frame, count, false);
        self.stats.free += u64::from(count);
        self.relink(number, before);
        Ok(())
    }

    /// How much there is.
    #[must_use]
    pub const fn stats(&self) -> FrameStats {
        self.stats
    }

    fn take(&mut self, number: u32, frame: u32, count: u32) {
        let block = &mut self.blocks[number as usize];
        let before = block.free;
        block.set(frame, count, true);
        self.stats.free -= u64::from(count);
        self.relink(number, before);
    }

    fn partial_run(&self, count: u32) -> Option<(u32, u32)> {
        let mut number = self.partial;
        let mut seen = 0;
        // Without a whole block to break, every other one is worth a look.
        while seen < RUN_SEARCH || self.whole == NONE {
            seen += 1;
            let block = self.blocks.get(number as usize)?;
            if let Some(frame) = block.find_run(count) {
                return Some((number, frame));
            }
            number = block.next;
        }
        None
    }

    /// Moves a block to the list its number of free frames asks for.
    fn relink(&mut self, number: u32, free_before: u32) {
        let kind = |free| match free {
            0 => 0,
            FRAMES_PER_BLOCK => 2,
            _ => 1,
        };
        let free = self.blocks[number as usize].free;
        if kind(free) == kind(free_before) {
            return;
        }
        if free_before != 0 {
            self.unlink(number, free_before == FRAMES_PER_BLOCK);
        }
        if free != 0 {
            self.link(number, free == FRAMES_PER_BLOCK);
        }
    }

    fn head(&mut self, whole: bool) -> &mut u32 {
        if whole {
            &mut self.whole
        } else {
            &mut self.partial
        }
    }

    fn link(&mut self, number: u32, whole: bool) {
        let next = core::mem::replace(self.head(whole), number);
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = number;
        }
        let block = &mut self.blocks[number as usize];
        (block.previous, block.next) = (NONE, next);
    }

    fn unlink(&mut self, number: u32, whole: bool) {
        let Block { next, previous, .. } = self.blocks[number as usize];
        match self.blocks.get_mut(previous as usize) {
            Some(block) => block.next = next,
            None => *self.head(whole) = next,
        }
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    fn two_blocks() -> Frames {
        let mut frames = Frames::new(2);
        frames.add(0, 1024).unwrap();
        frames
    }

    #[test]
    fn small_frames_leave_whole_blocks_whole() {
        let mut frames = two_blocks();
        for _ in 0..FRAMES_PER_BLOCK {
            frames.alloc_small().unwrap();
        }
        assert!(frames.alloc_large().is_some());
        assert!(frames.alloc_small().is_none());
    }

    #[test]
    fn freed_frames_become_a_large_block_again() {
        let mut frames = Frames::new(1);
        frames.add(0, 512).unwrap();
        let taken: Vec<u32> = core::iter::from_fn(|| frames.alloc_small()).collect();
        assert_eq!(taken.len(), 512);
        for frame in taken {
            frames.free_small(frame).unwrap();
        }
        assert_eq!(frames.alloc_large(), Some(0));
    }

    #[test]
    fn double_free_is_refused() {
        let mut frames = two_blocks();
        let large = frames.alloc_large().unwrap();
        frames.free_large(large).unwrap();
        assert_eq!(frames.free_large(large), Err(FreeError::AlreadyFree));
        assert_eq!(frames.free_small(5000), Err(FreeError::OutOfRange));
    }

    #[test]
    fn frames_never_added_are_never_given_out() {
        let mut frames = Frames::new(2);
        frames.add(600, 100).unwrap();
        let taken: BTreeSet<u32> = core::iter::from_fn(|| frames.alloc_small()).collect();
        assert_eq!(taken, (600..700).collect());
    }

    proptest! {
        #[test]
        fn no_frame_is_given_out_twice(steps in proptest::collection::vec((0u8..6, any::<u16>()), 1..400)) {
            let mut frames = Frames::new(4);
            frames.add(0, 2048).unwrap();
            let mut held: Vec<(u32, u32)> = Vec::new();
            let mut used = BTreeSet::new();
            for (kind, number) in steps {
                let got = match kind {
                    0 | 1 => frames.alloc_small().map(|frame| (frame, 1)),
                    2 => frames.alloc_large().map(|frame| (frame, 512)),
                    3 => {
                        let count = u32::from(number) % 40 + 1;
                        frames.alloc_run(count).map(|frame| (frame, count))
                    }
                    _ if held.is_empty() => None,
                    _ => {
                        let (first, count) = held.swap_remove(number as usize % held.len());
                        frames.free_run(first, count).unwrap();
                        used.retain(|frame| !(first..first + count).contains(frame));
                        None
                    }
                };
                if let Some((first, count)) = got {
                    prop_assert!((first..first + count).all(|frame| used.insert(frame)));
                    held.push((first, count));
                }
                prop_assert_eq!(frames.stats().free, 2048 - used.len() as u64);
            }
        }
    }
}
