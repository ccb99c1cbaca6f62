// SPDX-License-Identifier: GPL-2.0
//! Which frames are free: blocks of 2 MiB, each with a bitmap of its 4 KiB frames.
//!
//! A block is wholly free, partly used or full. Small frames come from partly used blocks first, so
//! that whole blocks stay whole for large pages. Both kinds of blocks with something free hang in a
//! doubly linked list of block numbers; every operation takes constant time (a run: one pass over
//! the partly used blocks).

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Nodes that can be told apart; what lies on others counts as the last one's.
pub const MAX_NODES: u32 = 64;
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

/// Where frames shall come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From this node if it is allowed and has some.
    pub near: u32,
    /// From these nodes only: bit n = node n.
    pub allowed: u64,
}

impl Place {
    /// From node `near` if possible, else from anywhere.
    #[must_use]
    pub const fn near(near: u32) -> Self {
        Self {
            near,
            allowed: u64::MAX,
        }
    }

    /// The nodes in the order in which they are asked.
    fn nodes(self) -> impl Iterator<Item = usize> {
        let near = self.near.min(MAX_NODES - 1) as usize;
        let others = (0..MAX_NODES as usize).filter(move |&node| node != near);
        core::iter::once(near)
            .chain(others)
            .filter(move |&node| self.allowed & 1 << node != 0)
    }
}

/// Heads of a node's lists: wholly free blocks, partly used blocks.
#[derive(Clone, Copy)]
struct Lists {
    whole: u32,
    partial: u32,
}

#[derive(Clone, Copy)]
struct Block {
    /// Bit set: the frame is in use, or not ours to give out.
    used: [u64; WORDS],
    /// Clear bits of `used`.
    free: u32,
    next: u32,
    previous: u32,
    node: u32,
}

impl Block {
    const FULL: Self = Self {
        used: [u64::MAX; WORDS],
        free: 0,
        next: NONE,
        previous: NONE,
        node: 0,
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
    lists: [Lists; MAX_NODES as usize],
    stats: FrameStats,
    /// Wholly free blocks.
    whole: u64,
}

impl Frames {
    /// `blocks` blocks without a single free frame; [`Self::add`] brings them in.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        let blocks: Vec<Block> = (0..blocks).map(|_| Block::FULL).collect();
        Self {
            blocks: blocks.into_boxed_slice(),
            lists: [Lists {
                whole: NONE,
                partial: NONE,
            }; MAX_NODES as usize],
            stats: FrameStats::default(),
            whole: 0,
        }
    }

    /// Block `block` lies on node `node`; before any of its frames is added.
    pub fn set_node(&mut self, block: u32, node: u32) {
        if let Some(block) = self.blocks.get_mut(block as usize) {
            block.node = node.min(MAX_NODES - 1);
        }
    }

    /// The node of frame `frame`; `None` if there is no such frame.
    #[must_use]
    pub fn node_of(&self, frame: u32) -> Option<u32> {
        let block = self.blocks.get((frame / FRAMES_PER_BLOCK) as usize)?;
        Some(block.node)
    }

    /// How many blocks are wholly free.
    #[must_use]
    pub const fn whole_blocks(&self) -> u64 {
        self.whole
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
    pub fn alloc_small(&mut self, place: Place) -> Option<u32> {
        self.alloc_run(1, place)
    }

    /// The first frame of a whole block.
    pub fn alloc_large(&mut self, place: Place) -> Option<u32> {
        self.alloc_run(FRAMES_PER_BLOCK, place)
    }

    /// The first of `count` adjacent frames that lie in one block.
    pub fn alloc_run(&mut self, count: u32, place: Place) -> Option<u32> {
        if count == 0 || count > FRAMES_PER_BLOCK {
            return None;
        }
        let (block, frame) = place.nodes().find_map(|node| self.find_run(node, count))?;
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

    /// A block of `node` and the first of `count` adjacent free frames in it: partly used blocks
    /// first, so that whole ones stay whole.
    fn find_run(&self, node: usize, count: u32) -> Option<(u32, u32)> {
        let Lists { whole, partial } = self.lists[node];
        let broken = if count == FRAMES_PER_BLOCK {
            None
        } else {
            self.find_broken(partial, whole == NONE, count)
        };
        broken.or_else(|| (whole != NONE).then_some((whole, 0)))
    }

    /// Looks at the partly used blocks from `number` on; at all of them if `thoroughly`.
    fn find_broken(&self, mut number: u32, thoroughly: bool, count: u32) -> Option<(u32, u32)> {
        let mut seen = 0;
        while seen < RUN_SEARCH || thoroughly {
            seen += 1;
            let block = self.blocks.get(number as usize)?;
            let found = if count == 1 {
                block.first_free()
            } else {
                block.find_run(count)
            };
            if let Some(frame) = found {
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

    fn head(&mut self, node: u32, whole: bool) -> &mut u32 {
        let lists = &mut self.lists[node as usize];
        if whole {
            &mut lists.whole
        } else {
            &mut lists.partial
        }
    }

    fn link(&mut self, number: u32, whole: bool) {
        self.whole += u64::from(whole);
        let node = self.blocks[number as usize].node;
        let next = core::mem::replace(self.head(node, whole), number);
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = number;
        }
        let block = &mut self.blocks[number as usize];
        (block.previous, block.next) = (NONE, next);
    }

    fn unlink(&mut self, number: u32, whole: bool) {
        self.whole -= u64::from(whole);
        let Block {
            next,
            previous,
            node,
            ..
        } = self.blocks[number as usize];
        match self.blocks.get_mut(previous as usize) {
            Some(block) => block.next = next,
            None => *self.head(node, whole) = next,
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

    const ANYWHERE: Place = Place::near(0);

    #[test]
    fn frames_come_from_the_node_asked_for() {
        let mut frames = Frames::new(4);
        (0..4).for_each(|block| frames.set_node(block, block / 2));
        frames.add(0, 2048).unwrap();
        let only = |node: u32| Place {
            near: node,
            allowed: 1 << node,
        };
        for node in [1, 0] {
            assert_eq!(frames.alloc_small(only(node)).unwrap() / 1024, node);
            assert_eq!(frames.alloc_large(only(node)).unwrap() / 1024, node);
            assert_eq!(frames.alloc_large(only(node)), None);
        }
        assert_eq!(frames.whole_blocks(), 0);
        while frames.alloc_small(only(1)).is_some() {}
        let spilled = frames.alloc_small(Place::near(1)).unwrap();
        assert_eq!(frames.node_of(spilled), Some(0));
        assert_eq!(frames.alloc_small(only(63)), None);
    }

    fn two_blocks() -> Frames {
        let mut frames = Frames::new(2);
        frames.add(0, 1024).unwrap();
        frames
    }

    #[test]
    fn small_frames_leave_whole_blocks_whole() {
        let mut frames = two_blocks();
        for _ in 0..FRAMES_PER_BLOCK {
            frames.alloc_small(ANYWHERE).unwrap();
        }
        assert!(frames.alloc_large(ANYWHERE).is_some());
        assert!(frames.alloc_small(ANYWHERE).is_none());
    }

    #[test]
    fn freed_frames_become_a_large_block_again() {
        let mut frames = Frames::new(1);
        frames.add(0, 512).unwrap();
        let taken: Vec<u32> = core::iter::from_fn(|| frames.alloc_small(ANYWHERE)).collect();
        assert_eq!(taken.len(), 512);
        for frame in taken {
            frames.free_small(frame).unwrap();
        }
        assert_eq!(frames.alloc_large(ANYWHERE), Some(0));
    }

    #[test]
    fn double_free_is_refused() {
        let mut frames = two_blocks();
        let large = frames.alloc_large(ANYWHERE).unwrap();
        frames.free_large(large).unwrap();
        assert_eq!(frames.free_large(large), Err(FreeError::AlreadyFree));
        assert_eq!(frames.free_small(5000), Err(FreeError::OutOfRange));
    }

    #[test]
    fn frames_never_added_are_never_given_out() {
        let mut frames = Frames::new(2);
        frames.add(600, 100).unwrap();
        let taken: BTreeSet<u32> = core::iter::from_fn(|| frames.alloc_small(ANYWHERE)).collect();
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
                    0 | 1 => frames.alloc_small(ANYWHERE).map(|frame| (frame, 1)),
                    2 => frames.alloc_large(ANYWHERE).map(|frame| (frame, 512)),
                    3 => {
                        let count = u32::from(number) % 40 + 1;
                        frames.alloc_run(count, ANYWHERE).map(|frame| (frame, count))
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
            for (first, count) in held {
                frames.free_run(first, count).unwrap();
            }
            prop_assert_eq!(frames.whole_blocks(), 4);
        }
    }
}
