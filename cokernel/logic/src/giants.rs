// SPDX-License-Identifier: GPL-2.0
//! Aligned GiBs of a partition: how many of their blocks are wholly free.

use alloc::vec::Vec;

use crate::block::NONE;

/// Blocks in a GiB.
pub const BLOCKS_PER_GIANT: u32 = 512;

/// All frames of a GiB, given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Giant {
    /// The first one.
    pub first: u32,
    /// Bit n = block n of it is known to be zero.
    pub zero: [u64; BLOCKS_PER_GIANT as usize / 64],
}

impl Giant {
    /// Whether block `index` of it is known to be zero.
    #[must_use]
    pub const fn is_zero(&self, index: u32) -> bool {
        self.zero[(index / 64) as usize] & 1 << (index % 64) != 0
    }
}

/// The state of one GiB.
struct Entry {
    first_block: u32,
    node: u32,
    /// Wholly free blocks that hang in lists.
    whole: u32,
}

/// The GiBs, numbered from 0.
#[derive(Default)]
pub(crate) struct Giants(Vec<Entry>);

impl Giants {
    /// One more, on `node`; its number.
    pub(crate) fn add(&mut self, first_block: u32, node: u32) -> u32 {
        let number = u32::try_from(self.0.len()).unwrap_or(NONE);
        self.0.push(Entry {
            first_block,
            node,
            whole: 0,
        });
        number
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// A block of GiB `number`, if that is one, has come into a list of wholly free ones.
    pub(crate) fn block_came(&mut self, number: u32) {
        if let Some(giant) = self.0.get_mut(number as usize) {
            giant.whole += 1;
        }
    }

    /// The opposite.
    pub(crate) fn block_went(&mut self, number: u32) {
        if let Some(giant) = self.0.get_mut(number as usize) {
            giant.whole -= 1;
        }
    }

    /// Whether GiB `number`, if that is one, is wholly free.
    pub(crate) fn is_free(&self, number: u32) -> bool {
        let giant = self.0.get(number as usize);
        giant.is_some_and(|giant| giant.whole == BLOCKS_PER_GIANT)
    }

    /// The first block of a GiB of `node` that is wholly free.
    pub(crate) fn find(&self, node: usize) -> Option<u32> {
        let is_free =
            |giant: &&Entry| giant.node as usize == node && giant.whole == BLOCKS_PER_GIANT;
        self.0.iter().find(is_free).map(|giant| giant.first_block)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn fill(giants: &mut Giants, number: u32) {
        for _ in 0..BLOCKS_PER_GIANT {
            giants.block_came(number);
        }
    }

    #[test]
    fn one_is_free_when_each_of_its_blocks_is() {
        let mut giants = Giants::default();
        let number = giants.add(1024, 0);
        assert!(!giants.is_free(number));
        fill(&mut giants, number);
        assert!(giants.is_free(number));
        assert_eq!(giants.find(0), Some(1024));
        giants.block_went(number);
        assert!(!giants.is_free(number));
        assert_eq!(giants.find(0), None);
    }

    #[test]
    fn one_is_found_on_its_own_node_only() {
        let mut giants = Giants::default();
        giants.add(0, 0);
        let second = giants.add(512, 1);
        fill(&mut giants, second);
        assert_eq!(giants.count(), 2);
        assert_eq!((giants.find(0), giants.find(1)), (None, Some(512)));
    }

    #[test]
    fn blocks_of_none_change_nothing() {
        let mut giants = Giants::default();
        let number = giants.add(0, 0);
        fill(&mut giants, number);
        giants.block_went(NONE);
        giants.block_came(NONE);
        assert!(giants.is_free(number) && !giants.is_free(NONE));
    }

    #[test]
    fn each_block_says_for_itself_whether_it_is_zero() {
        let mut zero = [0; BLOCKS_PER_GIANT as usize / 64];
        zero[0] = 1 << 5;
        zero[7] = 1 << 63;
        let giant = Giant { first: 0, zero };
        let zeroed = (0..BLOCKS_PER_GIANT).filter(|block| giant.is_zero(*block));
        assert!(zeroed.eq([5, 511]));
    }
}
