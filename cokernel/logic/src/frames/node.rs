// SPDX-License-Identifier: GPL-2.0
//! Nodes: which one frames come from, and what each has.

use super::{FrameStats, MAX_NODES};
use crate::block::{Kind, LISTS, NONE};

/// Partly used blocks looked at for a run before a whole block is broken, and for cleaning.
pub(super) const RUN_SEARCH: usize = 16;
/// The part of a node's frames that is kept zero: 1 / this, and at most [`MOST_ZEROS`].
const ZERO_FRACTION: u64 = 4;
/// See [`ZERO_FRACTION`]: 128 MiB.
const MOST_ZEROS: u64 = 32768;

/// The nodes that frames shall come from.
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
    pub(super) fn nodes(self) -> impl Iterator<Item = usize> {
        let near = self.near.min(MAX_NODES - 1) as usize;
        let others = (0..MAX_NODES as usize).filter(move |&node| node != near);
        core::iter::once(near)
            .chain(others)
            .filter(move |&node| self.allowed & 1 << node != 0)
    }
}

/// The blocks and the counts of a node.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// The first block of each list.
    pub(super) heads: [u32; LISTS],
    /// Frames managed, and free ones.
    pub(super) stats: FrameStats,
    /// Of the free ones, zero.
    pub(super) zeros: u64,
    /// Wholly free blocks in the lists.
    pub(super) whole_blocks: u64,
}

impl Node {
    pub(super) const EMPTY: Self = Self {
        heads: [NONE; LISTS],
        stats: FrameStats { total: 0, free: 0 },
        zeros: 0,
        whole_blocks: 0,
    };

    pub(super) fn partial(&self) -> u32 {
        self.heads[Kind::Partial.list(false)]
    }

    /// The first whole block, rather not of a GiB.
    pub(super) fn whole(&self, kinds: [Kind; 2]) -> Option<u32> {
        let lists = [false, true].map(|in_giant| kinds.map(|kind| kind.list(in_giant)));
        let heads = lists.as_flattened().iter().map(|&list| self.heads[list]);
        heads.into_iter().find(|&number| number != NONE)
    }

    pub(super) fn lacks_zeros(&self) -> bool {
        self.zeros < (self.stats.total / ZERO_FRACTION).min(MOST_ZEROS)
    }
}
