// SPDX-License-Identifier: GPL-2.0
//! A block of 2 MiB: which of its small frames are in use, and which of the free ones are zero.

/// Small frames in a block.
pub const FRAMES_PER_BLOCK: u32 = 512;
/// End of a list.
pub(crate) const NONE: u32 = u32::MAX;
/// Words of a block's bitmap.
const WORDS: usize = (FRAMES_PER_BLOCK / 64) as usize;

/// Bit n = frame n of a block.
type Bitmap = [u64; WORDS];

/// The lists that a block can hang in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Some frames are free.
    Partial,
    /// All frames are free.
    Whole,
    /// All frames are free and zero.
    Zero,
}

/// Number of lists: of partly used blocks, and of whole and zero ones outside and inside of a GiB.
pub(crate) const LISTS: usize = 5;

impl Kind {
    /// The list that blocks of this kind hang in. Whole ones of a GiB hang apart, to be taken last.
    pub(crate) const fn list(self, in_giant: bool) -> usize {
        match (self, in_giant) {
            (Self::Partial, _) => 0,
            (Self::Whole, false) => 1,
            (Self::Zero, false) => 2,
            (Self::Whole, true) => 3,
            (Self::Zero, true) => 4,
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// The frame is in use, or not ours to give out.
    used: Bitmap,
    /// The frame is free and zero.
    zero: Bitmap,
    /// Clear bits of `used`.
    pub(crate) free: u32,
    /// Set bits of `zero`.
    pub(crate) zeros: u32,
    /// The next one in its list, or [`NONE`].
    pub(crate) next: u32,
    /// See `next`.
    pub(crate) previous: u32,
    pub(crate) node: u32,
    /// The GiB it belongs to, or [`NONE`].
    pub(crate) giant: u32,
}

impl Block {
    pub(crate) const FULL: Self = Self {
        used: [u64::MAX; WORDS],
        zero: [0; WORDS],
        free: 0,
        zeros: 0,
        next: NONE,
        previous: NONE,
        node: 0,
        giant: NONE,
    };

    /// `None`: it is full and hangs nowhere.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match (self.free, self.zeros) {
            (0, _) => None,
            (_, FRAMES_PER_BLOCK) => Some(Kind::Zero),
            (FRAMES_PER_BLOCK, _) => Some(Kind::Whole),
            _ => Some(Kind::Partial),
        }
    }

    /// First of `count` adjacent free frames; of a single one, rather one that is not zero.
    pub(crate) fn find_free(&self, count: u32) -> Option<u32> {
        let dirty = if count == 1 {
            first(&self.dirty())
        } else {
            None
        };
        dirty.or_else(|| find_adjacent(self.used.map(|word| !word), count))
    }

    /// First of `count` adjacent free frames that are zero.
    pub(crate) fn find_zero(&self, count: u32) -> Option<u32> {
        if self.zeros < count {
            return None;
        }
        find_adjacent(self.zero, count)
    }

    /// First frames that are free but not zero, and how many follow each other: at most `most`.
    pub(crate) fn find_dirty(&self, most: u32) -> Option<(u32, u32)> {
        let dirty = self.dirty();
        let start = first(&dirty)?;
        let is_clean = |frame: &u32| dirty[(frame / 64) as usize] & 1 << (frame % 64) == 0;
        let limit = (start + most).min(FRAMES_PER_BLOCK);
        let end = (start..limit).find(is_clean).unwrap_or(limit);
        Some((start, end - start))
    }

    /// Takes free frames; whether all of them were zero.
    pub(crate) fn take(&mut self, start: u32, count: u32) -> bool {
        let mut zeros = 0;
        for (word, mask) in masks(start, count) {
            zeros += (self.zero[word] & mask).count_ones();
            self.zero[word] &= !mask;
            self.used[word] |= mask;
        }
        self.free -= count;
        self.zeros -= zeros;
        zeros == count
    }

    /// Takes back used frames; `are_zero` if nothing is in them.
    pub(crate) fn put(&mut self, start: u32, count: u32, are_zero: bool) {
        for (word, mask) in masks(start, count) {
            self.used[word] &= !mask;
            if are_zero {
                self.zero[word] |= mask;
            }
        }
        self.free += count;
        self.zeros += if are_zero { count } else { 0 };
    }

    /// The list that it hangs in.
    pub(crate) fn list(&self, kind: Kind) -> usize {
        kind.list(self.giant != NONE)
    }

    /// Whether all of these frames are used.
    pub(crate) fn are_used(&self, start: u32, count: u32) -> bool {
        masks(start, count).all(|(word, mask)| self.used[word] & mask == mask)
    }

    fn dirty(&self) -> Bitmap {
        core::array::from_fn(|word| !self.used[word] & !self.zero[word])
    }
}

/// The bitmap's words that hold frames `start..start + count` of a block, and which bits of them.
fn masks(start: u32, count: u32) -> impl Iterator<Item = (usize, u64)> {
    let end = start + count;
    (start / 64..end.div_ceil(64)).map(move |word| {
        let low = start.max(word * 64) - word * 64;
        let high = end.min(word * 64 + 64) - word * 64;
        (word as usize, u64::MAX >> (64 - (high - low)) << low)
    })
}

fn first(bits: &Bitmap) -> Option<u32> {
    let (word, bits) = (0u32..).zip(bits).find(|(_, bits)| **bits != 0)?;
    Some(word * 64 + bits.trailing_zeros())
}

/// First of `count` adjacent set bits, by halving: where so many begin, so many more must follow.
fn find_adjacent(bits: Bitmap, count: u32) -> Option<u32> {
    let mut starts = bits;
    let mut length = 1;
    while length < count {
        let step = length.min(count - length);
        let later = shifted_down(&starts, step);
        starts = core::array::from_fn(|word| starts[word] & later[word]);
        length += step;
    }
    first(&starts)
}

/// Bit n of the answer is bit n + `by` of `bits`.
fn shifted_down(bits: &Bitmap, by: u32) -> Bitmap {
    let (words, rest) = ((by / 64) as usize, by % 64);
    core::array::from_fn(|word| {
        let low = bits.get(word + words).copied().unwrap_or(0);
        let high = bits.get(word + words + 1).copied().unwrap_or(0);
        low >> rest | high.checked_shl(64 - rest).unwrap_or(0)
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As [`find_adjacent`], one by one.
    fn find_slowly(bits: &Bitmap, count: u32) -> Option<u32> {
        let is_set = |frame: u32| bits[(frame / 64) as usize] & 1 << (frame % 64) != 0;
        (0..=FRAMES_PER_BLOCK - count).find(|start| (*start..start + count).all(is_set))
    }

    proptest! {
        #[test]
        fn adjacent_bits_are_found_where_they_are(clear in proptest::collection::vec(0u32..512, 0..20), count in 1u32..=512) {
            let mut bits = [u64::MAX; WORDS];
            for frame in clear {
                bits[(frame / 64) as usize] &= !(1 << (frame % 64));
            }
            prop_assert_eq!(find_adjacent(bits, count), find_slowly(&bits, count));
        }
    }
}
