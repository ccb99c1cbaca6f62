// SPDX-License-Identifier: GPL-2.0
//! Tests of the free frames: which come first, what stays whole, what is refused.

use super::node::RUN_SEARCH;
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
    frames.add(0, 1024).expect("they are new");
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
    frames
        .add(0, (BLOCKS_PER_GIANT + 4) * 512)
        .expect("they are new");
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
