// SPDX-License-Identifier: GPL-2.0
//! Watermarks of free memory: programs' own pages stop first, then what programs make the kernel keep for
//! them; the rest is for work that cannot fail.

/// Programs leave this part of the partition to the kernel: 1 / this, and at least
/// [`RESERVE_FRAMES`].
const RESERVE_FRACTION: u64 = 64;
/// See [`RESERVE_FRACTION`].
const RESERVE_FRAMES: u64 = 1024;
/// Memory that the kernel keeps for a program leaves 1 / this of the reserve.
const LAST_FRACTION: u64 = 2;

/// The purpose that memory is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Pages of a program.
    Pages,
    /// Memory that a program makes the kernel keep: tables, stacks, slots, areas.
    Structures,
}

/// Frames of `total` that must stay free when memory is taken for `purpose`.
#[inline]
#[must_use]
pub fn reserve(total: u64, purpose: Purpose) -> u64 {
    let whole = (total / RESERVE_FRACTION).max(RESERVE_FRAMES);
    match purpose {
        Purpose::Pages => whole,
        Purpose::Structures => whole / LAST_FRACTION,
    }
}

/// The number of frames that must come free before `wanted` of the `free` ones may be taken, so that more
/// than `reserve` are left; 0: they may be taken now.
#[inline]
#[must_use]
pub fn missing(free: u64, wanted: u64, reserve: u64) -> u64 {
    let needed = wanted.saturating_add(reserve + 1);
    needed.saturating_sub(free)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_partition_keeps_4_mib_and_a_large_one_a_64th() {
        assert_eq!(reserve(10_000, Purpose::Pages), 1024);
        assert_eq!(reserve(1 << 20, Purpose::Pages), 1 << 14);
    }

    #[test]
    fn structures_may_take_half_of_what_pages_leave() {
        for total in [10_000, 1 << 20] {
            let left = reserve(total, Purpose::Structures);
            assert_eq!(left, reserve(total, Purpose::Pages) / 2);
        }
    }

    #[test]
    fn the_last_frame_before_the_reserve_is_not_given_out() {
        assert_eq!(missing(1030, 5, 1024), 0);
        assert_eq!(missing(1029, 5, 1024), 1);
        assert_eq!(missing(0, 0, 1024), 1025);
    }

    #[test]
    fn a_wish_beyond_all_numbers_is_not_granted() {
        assert_ne!(missing(u64::MAX - 1, u64::MAX, 1024), 0);
    }

    proptest! {
        /// The missing frames are just enough: with them the wish is granted, with one less it is not.
        #[test]
        fn what_is_missing_is_just_enough(free in 0u64..5000, wanted in 0u64..5000, reserve in 0u64..2000) {
            let lacking = missing(free, wanted, reserve);
            prop_assert_eq!(missing(free + lacking, wanted, reserve), 0);
            if lacking != 0 {
                prop_assert_eq!(missing(free + lacking - 1, wanted, reserve), 1);
            }
            let left = free.saturating_sub(wanted);
            prop_assert_eq!(lacking == 0, left > reserve);
        }
    }
}
