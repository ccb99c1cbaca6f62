// SPDX-License-Identifier: GPL-2.0
//! Which frames are free: blocks of 2 MiB, each with a bitmap of its 4 KiB frames.
//!
//! A block is full, partly used, or wholly free, and then perhaps all zero. Small frames come from
//! partly used blocks first, so that whole blocks stay whole for large pages. Blocks with something
//! free hang in a doubly linked list of block numbers per kind and node; every operation takes
//! constant time (a run: one pass over the partly used blocks; a GiB: a step for each of its blocks).
//!
//! Free frames are cleaned by whoever has time, up to a part of each node's memory: `begin_cleaning`
//! puts a few out of reach, `end_cleaning` puts them back as zero. They count as free all the time.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::block::{Block, Kind, LISTS, NONE};
use crate::giants::Giants;

pub use crate::block::FRAMES_PER_BLOCK;
pub use crate::giants::{Giant, BLOCKS_PER_GIANT};

/// Nodes that can be told apart; what lies on others counts as the last one's.
pub const MAX_NODES: u32 = 64;
/// Partly used blocks looked at for a run before a whole block is broken, and for cleaning.
const RUN_SEARCH: usize = 16;
/// The same where a whole GiB would be broken otherwise: some tens of microseconds under a lock that all CPUs want.
const LONG_SEARCH: usize = 1024;
/// Which part of a node's frames is kept zero: 1 / this, and at most [`MOST_ZEROS`].
const ZERO_FRACTION: u64 = 4;
/// See [`ZERO_FRACTION`]: 128 MiB.
const MOST_ZEROS: u64 = 32768;

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

/// Adjacent frames of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first one.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// They are known to be zero.
    pub is_zero: bool,
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

/// What a node has.
#[derive(Clone, Copy)]
struct Node {
    /// The first block of each list.
    heads: [u32; LISTS],
    /// Frames managed, and free ones.
    stats: FrameStats,
    /// Of the free ones, zero.
    zeros: u64,
    /// Wholly free blocks in the lists.
    whole_blocks: u64,
}

impl Node {
    const EMPTY: Self = Self {
        heads: [NONE; LISTS],
        stats: FrameStats { total: 0, free: 0 },
        zeros: 0,
        whole_blocks: 0,
    };

    fn partial(&self) -> u32 {
        self.heads[Kind::Partial.list(false)]
    }

    /// The first whole block, rather not of a GiB.
    fn whole(&self, kinds: [Kind; 2]) -> Option<u32> {
        let lists = [false, true].map(|in_giant| kinds.map(|kind| kind.list(in_giant)));
        let heads = lists.as_flattened().iter().map(|&list| self.heads[list]);
        heads.into_iter().find(|&number| number != NONE)
    }

    fn lacks_zeros(&self) -> bool {
        self.zeros < (self.stats.total / ZERO_FRACTION).min(MOST_ZEROS)
    }
}

/// The frames of a partition, numbered from 0.
pub struct Frames {
    blocks: Box<[Block]>,
    nodes: [Node; MAX_NODES as usize],
    stats: FrameStats,
    giants: Giants,
    /// The whole block that is being cleaned, or [`NONE`]: it hangs in no list, lest somebody breaks it.
    held: u32,
    /// Nodes that may have something to clean: bit n = node n.
    to_clean: u64,
    /// See [`Self::take_changed`].
    changed: u64,
}

impl Frames {
    /// `blocks` blocks without a single free frame; [`Self::add`] brings them in.
    #[must_use]
    pub fn new(blocks: u32) -> Self {
        let blocks: Vec<Block> = (0..blocks).map(|_| Block::FULL).collect();
        Self {
            blocks: blocks.into_boxed_slice(),
            nodes: [Node::EMPTY; MAX_NODES as usize],
            stats: FrameStats::default(),
            giants: Giants::default(),
            held: NONE,
            to_clean: 0,
            changed: 0,
        }
    }

    /// Block `block` lies on node `node`; before any of its frames is added.
    pub fn set_node(&mut self, block: u32, node: u32) {
        if let Some(block) = self.blocks.get_mut(block as usize) {
            block.node = node.min(MAX_NODES - 1);
        }
    }

    /// The blocks from `first` on are an aligned GiB of memory on one node; after their node is known and
    /// before any of their frames is added.
    pub fn set_giant(&mut self, first: u32) {
        let blocks = first as usize..first as usize + BLOCKS_PER_GIANT as usize;
        if let Some(blocks) = self.blocks.get_mut(blocks) {
            let number = self.giants.add(first, blocks[0].node);
            blocks.iter_mut().for_each(|block| block.giant = number);
        }
    }

    /// How many GiBs there are, free or not.
    #[must_use]
    pub fn giant_count(&self) -> usize {
        self.giants.count()
    }

    /// All frames of an aligned GiB, if one is wholly free.
    pub fn alloc_giant(&mut self, place: Place) -> Option<Giant> {
        let first = place.nodes().find_map(|node| self.giants.find(node))?;
        let mut zero = [0; BLOCKS_PER_GIANT as usize / 64];
        for index in 0..BLOCKS_PER_GIANT {
            let is_zero = self.change(first + index, |block| block.take(0, FRAMES_PER_BLOCK));
            zero[(index / 64) as usize] |= u64::from(is_zero) << (index % 64);
        }
        self.count_free(first, |free| {
            free - u64::from(BLOCKS_PER_GIANT * FRAMES_PER_BLOCK)
        });
        Some(Giant {
            first: first * FRAMES_PER_BLOCK,
            zero,
        })
    }

    /// The node of frame `frame`; `None` if there is no such frame.
    #[must_use]
    pub fn node_of(&self, frame: u32) -> Option<u32> {
        let block = self.blocks.get((frame / FRAMES_PER_BLOCK) as usize)?;
        Some(block.node)
    }

    /// How many blocks are wholly free.
    #[must_use]
    pub fn whole_blocks(&self) -> u64 {
        self.nodes.iter().map(|node| node.whole_blocks).sum()
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
            let node = self.blocks[(frame / FRAMES_PER_BLOCK) as usize].node;
            self.nodes[node as usize].stats.total += u64::from(take);
            self.to_clean |= 1 << node;
            frame += take;
        }
        Ok(())
    }

    /// One frame with any contents.
    pub fn alloc_small(&mut self, place: Place) -> Option<u32> {
        self.alloc_run(1, place)
    }

    /// The first frame of a whole block with any contents.
    pub fn alloc_large(&mut self, place: Place) -> Option<u32> {
        self.alloc_run(FRAMES_PER_BLOCK, place)
    }

    /// The first of `count` adjacent frames that lie in one block, with any contents.
    pub fn alloc_run(&mut self, count: u32, place: Place) -> Option<u32> {
        self.alloc(count, place, false).map(|run| run.first)
    }

    /// As [`Self::alloc_run`], for somebody who would clear them otherwise.
    pub fn alloc_rather_zero(&mut self, count: u32, place: Place) -> Option<Run> {
        self.alloc(count, place, true)
    }

    fn alloc(&mut self, count: u32, place: Place, rather_zero: bool) -> Option<Run> {
        if count == 0 || count > FRAMES_PER_BLOCK {
            return None;
        }
        let find = |node| self.find(node, count, rather_zero);
        let (number, start) = place.nodes().find_map(find)?;
        let is_zero = self.change(number, |block| block.take(start, count));
        self.count_free(number, |free| free - u64::from(count));
        Some(Run {
            first: number * FRAMES_PER_BLOCK + start,
            count,
            is_zero,
        })
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
        let (number, start) = (first / FRAMES_PER_BLOCK, first % FRAMES_PER_BLOCK);
        let block = self
            .blocks
            .get(number as usize)
            .ok_or(FreeError::OutOfRange)?;
        if count > FRAMES_PER_BLOCK - start {
            return Err(FreeError::OutOfRange);
        }
        if !block.are_used(start, count) {
            return Err(FreeError::AlreadyFree);
        }
        self.change(number, |block| block.put(start, count, false));
        self.count_free(number, |free| free + u64::from(count));
        Ok(())
    }

    /// Nodes that may have something to clean: bit n = node n.
    #[must_use]
    pub const fn to_clean(&self) -> u64 {
        self.to_clean
    }

    /// Puts at most `most` free frames of `node` that are not zero out of reach. `None`: there are
    /// none, or enough that are zero. The caller clears them and calls [`Self::end_cleaning`], one
    /// caller at a time.
    pub fn begin_cleaning(&mut self, node: u32, most: u32) -> Option<Run> {
        debug_assert_eq!(self.held, NONE, "two clean at a time");
        let node = node.min(MAX_NODES - 1);
        let Some((number, start, count)) = self.find_dirty(node, most) else {
            self.to_clean &= !(1 << node);
            return None;
        };
        if self.blocks[number as usize].kind() == Some(Kind::Whole) {
            self.unlink(number, Kind::Whole);
            self.held = number;
        }
        self.change(number, |block| block.take(start, count));
        Some(Run {
            first: number * FRAMES_PER_BLOCK + start,
            count,
            is_zero: false,
        })
    }

    /// Takes the frames back that [`Self::begin_cleaning`] gave; they are zero now.
    pub fn end_cleaning(&mut self, run: Run) {
        let (number, start) = (run.first / FRAMES_PER_BLOCK, run.first % FRAMES_PER_BLOCK);
        self.change(number, |block| block.put(start, run.count, true));
        if self.held == number {
            self.held = NONE;
            if let Some(kind) = self.blocks[number as usize].kind() {
                self.link(number, kind);
            }
        }
    }

    /// Frames of partly used blocks first, of which there are few; they serve small areas.
    fn find_dirty(&self, node: u32, most: u32) -> Option<(u32, u32, u32)> {
        let node = &self.nodes[node as usize];
        if !node.lacks_zeros() {
            return None;
        }
        let partial = self.list(node.partial()).take(RUN_SEARCH);
        let whole = node.whole([Kind::Whole; 2]).unwrap_or(NONE);
        let whole = self.list(whole).take(1);
        partial.chain(whole).find_map(|(number, block)| {
            let (start, count) = block.find_dirty(most)?;
            Some((number, start, count))
        })
    }

    /// A block of `node` and the first of `count` adjacent free frames in it: partly used blocks
    /// first, so that whole ones stay whole.
    fn find(&self, node: usize, count: u32, rather_zero: bool) -> Option<(u32, u32)> {
        let node = &self.nodes[node];
        let kinds = if rather_zero {
            [Kind::Zero, Kind::Whole]
        } else {
            [Kind::Whole, Kind::Zero]
        };
        let whole = node.whole(kinds);
        let broken = if count == FRAMES_PER_BLOCK {
            None
        } else {
            let head = node.partial();
            let zero = |block: &Block| block.find_zero(count);
            let any = |block: &Block| block.find_free(count);
            let in_zero = || self.find_broken(head, false, zero);
            // Rather a longer search than a broken GiB.
            let breaks = |number: u32| self.giants.is_free(self.blocks[number as usize].giant);
            let in_any = || self.find_broken(head, whole.is_none_or(breaks), any);
            rather_zero.then(in_zero).flatten().or_else(in_any)
        };
        broken.or_else(|| whole.map(|number| (number, 0)))
    }

    /// Looks at the partly used blocks from `head` on; at many of them if `thoroughly`.
    fn find_broken(
        &self,
        head: u32,
        thoroughly: bool,
        find: impl Fn(&Block) -> Option<u32>,
    ) -> Option<(u32, u32)> {
        let limit = if thoroughly { LONG_SEARCH } else { RUN_SEARCH };
        self.list(head)
            .take(limit)
            .find_map(|(number, block)| Some((number, find(block)?)))
    }

    /// The blocks of a list from `head` on.
    fn list(&self, head: u32) -> impl Iterator<Item = (u32, &Block)> {
        let mut number = head;
        core::iter::from_fn(move || {
            let block = self.blocks.get(number as usize)?;
            let this = core::mem::replace(&mut number, block.next);
            Some((this, block))
        })
    }

    /// Changes a block and moves it to the list where it then belongs.
    fn change<R>(&mut self, number: u32, change: impl FnOnce(&mut Block) -> R) -> R {
        let block = &mut self.blocks[number as usize];
        let (old_kind, old_zeros) = (block.kind(), block.zeros);
        let result = change(block);
        let (new_kind, new_zeros) = (block.kind(), block.zeros);
        let node = &mut self.nodes[block.node as usize];
        node.zeros = node.zeros + u64::from(new_zeros) - u64::from(old_zeros);
        if node.lacks_zeros() {
            self.to_clean |= 1 << block.node;
        }
        if old_kind == new_kind || self.held == number {
            return result;
        }
        if let Some(kind) = old_kind {
            self.unlink(number, kind);
        }
        if let Some(kind) = new_kind {
            self.link(number, kind);
        }
        result
    }

    fn link(&mut self, number: u32, kind: Kind) {
        let Block { node, giant, .. } = self.blocks[number as usize];
        if kind != Kind::Partial {
            self.nodes[node as usize].whole_blocks += 1;
            self.giants.block_came(giant);
        }
        let list = self.blocks[number as usize].list(kind);
        let head = &mut self.nodes[node as usize].heads[list];
        let next = core::mem::replace(head, number);
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = number;
        }
        let block = &mut self.blocks[number as usize];
        (block.previous, block.next) = (NONE, next);
    }

    fn unlink(&mut self, number: u32, kind: Kind) {
        let Block {
            next,
            previous,
            node,
            giant,
            ..
        } = self.blocks[number as usize];
        if kind != Kind::Partial {
            self.nodes[node as usize].whole_blocks -= 1;
            self.giants.block_went(giant);
        }
        let list = self.blocks[number as usize].list(kind);
        match self.blocks.get_mut(previous as usize) {
            Some(block) => block.next = next,
            None => self.nodes[node as usize].heads[list] = next,
        }
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = previous;
        }
    }

    /// Changes the numbers of free frames, of all and of the node of block `number`.
    fn count_free(&mut self, number: u32, change: impl Fn(u64) -> u64) {
        let node = self.blocks[number as usize].node;
        let of_node = &mut self.nodes[node as usize].stats.free;
        *of_node = change(*of_node);
        self.stats.free = change(self.stats.free);
        self.changed |= 1 << node;
    }

    /// How much there is.
    #[must_use]
    pub const fn stats(&self) -> FrameStats {
        self.stats
    }

    /// How much node `node` has, and how many of its blocks are wholly free.
    #[must_use]
    pub fn node_stats(&self, node: u32) -> (FrameStats, u64) {
        let node = &self.nodes[node.min(MAX_NODES - 1) as usize];
        (node.stats, node.whole_blocks)
    }

    /// Something else changed for the node of `frame`, see [`Self::take_changed`]: which node.
    pub fn note_change(&mut self, frame: u32) -> u32 {
        let node = self.node_of(frame).unwrap_or(0);
        self.changed |= 1 << node;
        node
    }

    /// Nodes of which something was given or taken since the last call: bit n = node n.
    pub const fn take_changed(&mut self) -> u64 {
        core::mem::replace(&mut self.changed, 0)
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
        let free = FRAMES_PER_BLOCK - 1;
        let expected = FrameStats {
            total: 1024,
            free: free.into(),
        };
        assert_eq!(
            [0, 1].map(|node| frames.node_stats(node)),
            [(expected, 0); 2]
        );
        assert_eq!((frames.take_changed(), frames.take_changed()), (3, 0));
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
    fn no_giant_is_broken_while_another_block_has_room() {
        let others = u32::try_from(RUN_SEARCH).unwrap() + 1;
        let mut frames = Frames::new(BLOCKS_PER_GIANT + others);
        frames.set_giant(0);
        frames.add(0, BLOCKS_PER_GIANT * FRAMES_PER_BLOCK).unwrap();
        // Only the block that was broken first, and is looked at last, has 64 adjacent frames.
        for block in BLOCKS_PER_GIANT..BLOCKS_PER_GIANT + others {
            let free = if block == BLOCKS_PER_GIANT { 64 } else { 63 };
            frames.add(block * FRAMES_PER_BLOCK, free).unwrap();
        }
        let run = frames.alloc_run(64, ANYWHERE).unwrap();
        assert_eq!(run, BLOCKS_PER_GIANT * FRAMES_PER_BLOCK);
        assert!(frames.alloc_giant(ANYWHERE).is_some());
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

    #[test]
    fn whole_blocks_stay_whole_while_they_are_cleaned() {
        let mut frames = Frames::new(8);
        frames.add(0, 4096).unwrap();
        let piece = frames.begin_cleaning(0, 8).unwrap();
        let taken: Vec<u32> = core::iter::from_fn(|| frames.alloc_small(ANYWHERE)).collect();
        assert_eq!(taken.len(), 7 * 512);
        assert_eq!(frames.stats().free, 512);
        frames.end_cleaning(piece);
        let large = frames.alloc_rather_zero(512, ANYWHERE).unwrap();
        assert!(!large.is_zero && large.first / 512 == piece.first / 512);
    }

    #[test]
    fn cleaning_ends_with_a_part_of_the_memory() {
        let mut frames = Frames::new(8);
        frames.add(0, 4096).unwrap();
        assert_eq!(frames.to_clean(), 1);
        let mut cleaned = 0;
        while let Some(piece) = frames.begin_cleaning(0, 64) {
            cleaned += piece.count;
            frames.end_cleaning(piece);
        }
        assert_eq!((cleaned, frames.to_clean()), (1024, 0));
        assert_eq!(frames.whole_blocks(), 8);
        let zero = [512, 8, 512].map(|count| frames.alloc_rather_zero(count, ANYWHERE).unwrap());
        assert_eq!(zero.map(|run| run.is_zero), [true, true, false]);
        assert!(frames.alloc_rather_zero(8, ANYWHERE).unwrap().is_zero);
        assert_eq!(frames.to_clean(), 1);
        frames.free_run(zero[1].first, 8).unwrap();
        let piece = frames.begin_cleaning(0, 64).unwrap();
        assert_eq!((piece.first, piece.count), (zero[1].first, 8));
    }

    /// Two blocks, then a GiB, then two blocks.
    fn with_giant() -> Frames {
        let mut frames = Frames::new(BLOCKS_PER_GIANT + 4);
        frames.set_giant(2);
        frames.add(0, (BLOCKS_PER_GIANT + 4) * 512).unwrap();
        frames
    }

    #[test]
    fn a_giant_stays_whole_as_long_as_possible_and_comes_back() {
        let mut frames = with_giant();
        let others: Vec<u32> = (0..4)
            .map(|_| frames.alloc_large(ANYWHERE).unwrap())
            .collect();
        assert!(others
            .iter()
            .all(|first| !(2..514).contains(&(first / 512))));
        let giant = frames.alloc_giant(ANYWHERE).unwrap();
        assert_eq!((giant.first, giant.zero), (1024, [0; 8]));
        assert_eq!((frames.stats().free, frames.whole_blocks()), (0, 0));
        assert_eq!(frames.alloc_giant(ANYWHERE), None);
        (2..514).for_each(|block| frames.free_large(block * 512).unwrap());
        let small = frames.alloc_small(ANYWHERE).unwrap();
        assert_eq!(frames.alloc_giant(ANYWHERE), None);
        frames.free_small(small).unwrap();
        assert_eq!(
            frames.alloc_giant(ANYWHERE).map(|giant| giant.first),
            Some(1024)
        );
    }

    #[test]
    fn a_giant_tells_what_is_zero_and_is_no_giant_while_it_is_cleaned() {
        let mut frames = with_giant();
        let mut cleaned = 0;
        while let Some(piece) = frames.begin_cleaning(0, 512) {
            cleaned += piece.count;
            let in_giant = (1024..1024 + 512 * 512).contains(&piece.first);
            assert_eq!(frames.alloc_giant(ANYWHERE).is_none(), in_giant);
            if !in_giant {
                (2..514).for_each(|block| frames.free_large(block * 512).unwrap());
            }
            frames.end_cleaning(piece);
        }
        let giant = frames.alloc_giant(ANYWHERE).unwrap();
        let zeros: u32 = giant.zero.iter().map(|word| word.count_ones()).sum();
        assert_eq!(zeros, cleaned / 512 - 4);
        let told = (0..512).filter(|&block| giant.is_zero(block));
        assert_eq!(u32::try_from(told.count()), Ok(zeros));
    }

    #[test]
    fn giants_come_from_the_node_asked_for() {
        let mut frames = Frames::new(2 * BLOCKS_PER_GIANT);
        (512..1024).for_each(|block| frames.set_node(block, 1));
        [0, 512]
            .into_iter()
            .for_each(|first| frames.set_giant(first));
        frames.add(0, 1024 * 512).unwrap();
        let only = |node: u32| Place {
            near: node,
            allowed: 1 << node,
        };
        assert_eq!(frames.alloc_giant(only(1)).unwrap().first, 512 * 512);
        assert_eq!(frames.alloc_giant(only(1)), None);
        assert_eq!(frames.alloc_giant(Place::near(1)).unwrap().first, 0);
    }

    proptest! {
        #[test]
        fn what_is_called_zero_is_zero(steps in proptest::collection::vec((0u8..8, any::<u16>()), 1..400)) {
            let mut frames = Frames::new(5);
            (0..5).for_each(|block| frames.set_node(block, block / 4));
            frames.add(0, 2560).unwrap();
            let mut dirty = [true; 2560];
            let mut held: Vec<Run> = Vec::new();
            let mut cleaned: Option<Run> = None;
            let mut taken = 0;
            for (kind, number) in steps {
                let place = Place::near(u32::from(number) % 2);
                let got = match kind {
                    0 => frames.alloc_rather_zero(512, place),
                    1 => frames.alloc_rather_zero(u32::from(number) % 40 + 1, place),
                    2 => frames.alloc_small(place).map(|first| Run { first, count: 1, is_zero: false }),
                    3 | 4 if held.is_empty() => None,
                    3 | 4 => {
                        let run = held.swap_remove(number as usize % held.len());
                        frames.free_run(run.first, run.count).unwrap();
                        taken -= u64::from(run.count);
                        None
                    }
                    _ => {
                        if let Some(run) = cleaned.take() {
                            (run.first..run.first + run.count).for_each(|frame| dirty[frame as usize] = false);
                            frames.end_cleaning(run);
                        } else {
                            cleaned = frames.begin_cleaning(u32::from(number) % 2, 64);
                        }
                        None
                    }
                };
                if let Some(run) = got {
                    let mine = &mut dirty[run.first as usize..(run.first + run.count) as usize];
                    prop_assert!(!run.is_zero || mine.iter().all(|dirty| !dirty));
                    let in_cleaning = |run: Run| move |frame: u32| (run.first..run.first + run.count).contains(&frame);
                    prop_assert!(!cleaned.is_some_and(|piece| (run.first..run.first + run.count).any(in_cleaning(piece))));
                    mine.fill(true);
                    taken += u64::from(run.count);
                    held.push(run);
                }
                prop_assert_eq!(frames.stats().free, 2560 - taken);
            }
            if let Some(run) = cleaned {
                frames.end_cleaning(run);
            }
            held.iter().for_each(|run| frames.free_run(run.first, run.count).unwrap());
            prop_assert_eq!(frames.whole_blocks(), 5);
        }

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
