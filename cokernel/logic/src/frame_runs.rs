// SPDX-License-Identifier: GPL-2.0
//! Runs of adjacent frames: joined in lists, and cut where blocks end.

use alloc::vec::Vec;

use ihk_ikc::exposed::FrameRun;

use crate::frames::FRAMES_PER_BLOCK;

/// Stands for no frame.
pub const NO_FRAME: u32 = u32::MAX;

/// A run of one frame.
#[inline]
#[must_use]
pub const fn single(frame: u32) -> FrameRun {
    FrameRun {
        first: frame,
        count: 1,
    }
}

/// Adds `run` to `runs`, as a part of the last one if it follows that.
#[inline]
pub fn push(runs: &mut Vec<FrameRun>, run: FrameRun) {
    match runs.last_mut() {
        Some(last) if last.first + last.count == run.first => last.count += run.count,
        _ => runs.push(run),
    }
}

/// The number of frames that `runs` have together.
#[must_use]
pub fn count(runs: &[FrameRun]) -> u64 {
    runs.iter().map(|run| u64::from(run.count)).sum()
}

/// The numbers of the frames of `run`.
#[inline]
pub fn frames(run: FrameRun) -> core::ops::Range<u32> {
    run.first..run.first + run.count
}

/// `run` cut into parts that lie in one block each.
#[inline]
pub fn blocks_of(run: FrameRun) -> impl Iterator<Item = FrameRun> {
    let end = run.first + run.count;
    let mut first = run.first;
    core::iter::from_fn(move || {
        let count = (FRAMES_PER_BLOCK - first % FRAMES_PER_BLOCK).min(end - first);
        let part = FrameRun { first, count };
        first += count;
        (count != 0).then_some(part)
    })
}

/// The number of `frames`, from the first on, that are adjacent in memory; 1 if the first is [`NO_FRAME`].
#[must_use]
pub fn adjacent(frames: &[u32]) -> usize {
    let follows =
        |pair: &&[u32]| pair[0] != NO_FRAME && pair[1] != NO_FRAME && pair[1] == pair[0] + 1;
    1 + frames.windows(2).take_while(follows).count()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    fn run(first: u32, count: u32) -> FrameRun {
        FrameRun { first, count }
    }

    #[test]
    fn a_run_that_follows_the_last_one_makes_it_longer() {
        let mut runs = Vec::new();
        push(&mut runs, run(10, 2));
        push(&mut runs, run(12, 1));
        assert_eq!(runs, [run(10, 3)]);
    }

    #[test]
    fn a_run_that_does_not_follow_the_last_one_stays_apart() {
        let mut runs = vec![run(10, 2)];
        push(&mut runs, run(9, 1));
        push(&mut runs, run(13, 1));
        assert_eq!(runs, [run(10, 2), run(9, 1), run(13, 1)]);
        assert_eq!(count(&runs), 4);
    }

    #[test]
    fn a_run_within_a_block_is_not_cut() {
        let whole = run(512, FRAMES_PER_BLOCK);
        assert!(blocks_of(whole).eq([whole]));
        assert!(blocks_of(run(1023, 1)).eq([run(1023, 1)]));
    }

    #[test]
    fn a_run_is_cut_at_the_ends_of_blocks() {
        let parts = blocks_of(run(510, 600));
        assert!(parts.eq([run(510, 2), run(512, 512), run(1024, 86)]));
    }

    #[test]
    fn an_empty_run_has_no_part() {
        assert_eq!(blocks_of(run(7, 0)).count(), 0);
        assert_eq!(frames(run(7, 0)).count(), 0);
    }

    #[test]
    fn adjacent_frames_end_where_one_is_missing_or_lies_elsewhere() {
        assert_eq!(adjacent(&[5]), 1);
        assert_eq!(adjacent(&[5, 6, 7, 9]), 3);
        assert_eq!(adjacent(&[5, 4]), 1);
        assert_eq!(adjacent(&[5, NO_FRAME]), 1);
        assert_eq!(adjacent(&[NO_FRAME, 0, 1]), 1, "no frame has no neighbour");
        assert_eq!(adjacent(&[NO_FRAME - 1, NO_FRAME]), 1);
    }

    proptest! {
        /// The parts are the run, none crosses the end of a block, and all but the outer ones are whole.
        #[test]
        fn parts_are_the_run_block_by_block(first in 0u32..100_000, count in 0u32..5000) {
            let parts: Vec<_> = blocks_of(run(first, count)).collect();
            prop_assert!(parts.iter().flat_map(|part| frames(*part)).eq(frames(run(first, count))));
            for part in &parts {
                let last = part.first + part.count - 1;
                prop_assert_eq!(part.first / FRAMES_PER_BLOCK, last / FRAMES_PER_BLOCK);
            }
            for inner in parts.iter().skip(1).rev().skip(1) {
                prop_assert_eq!(inner.count, FRAMES_PER_BLOCK);
            }
        }

        /// A list has the same frames in the same order, and no two neighbours that could be one.
        #[test]
        fn a_list_loses_no_frame_and_has_no_needless_part(frames_in in proptest::collection::vec(0u32..40, 0..60)) {
            let mut runs = Vec::new();
            frames_in.iter().for_each(|frame| push(&mut runs, run(*frame, 1)));
            prop_assert!(runs.iter().flat_map(|run| frames(*run)).eq(frames_in.iter().copied()));
            prop_assert_eq!(count(&runs), frames_in.len() as u64);
            for pair in runs.windows(2) {
                prop_assert_ne!(pair[0].first + pair[0].count, pair[1].first);
            }
        }
    }
}
