// SPDX-License-Identifier: GPL-2.0
//! The search for frames to give out: those of partly used blocks first, so that whole blocks stay whole,
//! and GiBs longest.

use super::node::RUN_SEARCH;
use super::{Frames, FRAMES_PER_BLOCK};
use crate::block::{Block, Kind};

/// [`RUN_SEARCH`] where a whole GiB would be broken otherwise: some tens of microseconds under a lock
/// that all CPUs want.
const LONG_SEARCH: usize = 1024;

impl Frames {
    /// A block of `node` and the first of `count` adjacent free frames in it: partly used blocks
    /// first, so that whole ones stay whole.
    pub(super) fn find(&self, node: usize, count: u32, rather_zero: bool) -> Option<(u32, u32)> {
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
}
