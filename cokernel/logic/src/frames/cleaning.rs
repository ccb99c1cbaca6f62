// SPDX-License-Identifier: GPL-2.0
//! Free frames made zero ahead of their use, a few at a time, by whoever has time (Linux has no such thing; FreeBSD
//! had, as the idle zeroing of pages).

use super::node::RUN_SEARCH;
use super::{Frames, Run, FRAMES_PER_BLOCK, MAX_NODES};
use crate::block::{Kind, NONE};

impl Frames {
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
}
