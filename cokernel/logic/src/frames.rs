// SPDX-License-Identifier: GPL-2.0
//! The free frames: blocks of 2 MiB, each with a bitmap of its 4 KiB frames.
//!
//! A block is full, partly used, or wholly free, and then perhaps all zero. Small frames come from
//! partly used blocks first, so that whole blocks stay whole for large pages. Blocks with something
//! free hang in a doubly linked list of block numbers per kind and node; every operation takes
//! constant time (a run: one pass over the partly used blocks; a GiB: a step for each of its blocks).
//!
//! Free frames are cleaned by whoever has time, up to a part of each node's memory: `begin_cleaning`
//! puts a few out of reach, `end_cleaning` puts them back as zero. They count as free all the time.

mod cleaning;
mod lists;
mod node;
mod search;
#[cfg(all(test, not(loom)))]
mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::block::{Block, NONE};
use crate::giants::Giants;
use node::Node;

pub use crate::block::FRAMES_PER_BLOCK;
pub use crate::giants::{Giant, BLOCKS_PER_GIANT};
pub use node::Place;

/// Nodes that can be told apart; what lies on others counts as the last one's.
pub const MAX_NODES: u32 = 64;
/// The reason why a frame was not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// No such frame.
    OutOfRange,
    /// It is free already.
    AlreadyFree,
}

/// The numbers of frames, all and free.
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
    /// Their number.
    pub count: u32,
    /// They are known to be zero.
    pub is_zero: bool,
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

    /// The number of GiBs, free or not.
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

    /// The number of blocks that are wholly free.
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

    /// Changes the numbers of free frames, of all and of the node of block `number`.
    fn count_free(&mut self, number: u32, change: impl Fn(u64) -> u64) {
        let node = self.blocks[number as usize].node;
        let of_node = &mut self.nodes[node as usize].stats.free;
        *of_node = change(*of_node);
        self.stats.free = change(self.stats.free);
        self.changed |= 1 << node;
    }

    /// The numbers of frames, all and free.
    #[must_use]
    pub const fn stats(&self) -> FrameStats {
        self.stats
    }

    /// The frames of node `node`, and the number of its blocks that are wholly free.
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
