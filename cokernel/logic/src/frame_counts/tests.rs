// SPDX-License-Identifier: GPL-2.0
//! Tests of the reference counts: who frees a frame, and which are idle.

use alloc::collections::btree_map::Entry;
use alloc::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::frame_runs::frames;

const BLOCKS: u32 = 3;

fn run(first: u32, count: u32) -> FrameRun {
    FrameRun { first, count }
}

fn counts() -> FrameCounts {
    let mut counts = FrameCounts::new();
    counts.set_size(BLOCKS);
    counts
}

/// Frames that nobody else had, and how many became idle.
fn release(counts: &mut FrameCounts, run: FrameRun) -> (Vec<u32>, u64) {
    let (mut own, mut idle) = (Vec::new(), 0);
    counts.release(run, |run| own.extend(frames(run)), |_, count| idle += count);
    (own, idle)
}

/// The number that were idle before.
fn add(counts: &mut FrameCounts, run: FrameRun) -> u64 {
    let mut woken = 0;
    let added = counts.add(run, |_, count| woken += count);
    assert_eq!(added, Ok(()));
    woken
}

#[test]
fn who_alone_has_frames_frees_them() {
    let mut counts = counts();
    assert_eq!(release(&mut counts, run(5, 3)), (Vec::from([5, 6, 7]), 0));
}

/// As copy_present_page and zap_pte_range on Linux: the last one who unmaps a page frees it.
#[test]
fn after_a_fork_the_second_one_who_gives_up_frees() {
    let mut counts = counts();
    assert_eq!(add(&mut counts, run(5, 2)), 0);
    assert!(counts.is_shared(run(6, 1)));
    assert_eq!(release(&mut counts, run(5, 2)), (Vec::new(), 0));
    assert!(!counts.is_shared(run(5, 2)));
    assert_eq!(release(&mut counts, run(5, 2)), (Vec::from([5, 6]), 0));
}

#[test]
fn only_the_frames_of_a_run_that_are_alone_are_freed() {
    let mut counts = counts();
    add(&mut counts, run(511, 2));
    let (own, _) = release(&mut counts, run(510, 4));
    assert_eq!(own, [510, 513]);
}

#[test]
fn one_shared_frame_makes_a_large_page_shared() {
    let mut counts = counts();
    add(&mut counts, run(700, 1));
    assert!(counts.is_shared(run(512, 512)));
    assert!(!counts.is_shared(run(0, 512)));
    assert!(!counts.is_shared(run(512, 188)), "before it");
}

/// As a page of Linux's page cache: it stays when nobody maps it, and is reclaimable then.
#[test]
fn a_kept_frame_that_no_address_space_has_is_idle_and_not_freed() {
    let mut counts = counts();
    counts.keep(9);
    assert_eq!(add(&mut counts, run(9, 1)), 1, "it was idle");
    assert_eq!(add(&mut counts, run(9, 1)), 0);
    assert_eq!(release(&mut counts, run(9, 1)), (Vec::new(), 0));
    assert_eq!(release(&mut counts, run(9, 1)), (Vec::new(), 1));
    assert!(counts.let_go(9), "nobody else has it");
}

#[test]
fn a_frame_that_is_let_go_while_mapped_is_freed_by_who_has_it() {
    let mut counts = counts();
    counts.keep(9);
    add(&mut counts, run(9, 1));
    assert!(!counts.let_go(9));
    assert_eq!(release(&mut counts, run(9, 1)), (Vec::from([9]), 0));
}

#[test]
fn a_count_that_would_overflow_changes_nothing() {
    let mut counts = counts();
    add(&mut counts, run(4, 1));
    counts.blocks[0].as_mut().expect("shared").further[4] = u32::MAX;
    let woken = |_, _| panic!("nothing was changed");
    assert_eq!(counts.add(run(3, 2), woken), Err(Overflow));
    assert_eq!(counts.further(3), 0);
    assert_eq!(counts.further(4), u32::MAX);
}

#[test]
fn a_block_without_shared_frames_takes_no_memory() {
    let mut counts = counts();
    add(&mut counts, run(600, 2));
    assert!(counts.blocks[1].is_some());
    release(&mut counts, run(600, 2));
    assert!(counts.blocks[1].is_none());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(FrameRun),
    Release(FrameRun),
    Keep(u32),
    LetGo(u32),
}

/// Around the end of the first block, so that runs cross it.
fn step() -> impl Strategy<Value = Step> {
    let any_run = || (506u32..518, 1u32..6).prop_map(|(first, count)| run(first, count));
    prop_oneof![
        3 => any_run().prop_map(Step::Add),
        3 => any_run().prop_map(Step::Release),
        1 => (506u32..518).prop_map(Step::Keep),
        1 => (506u32..518).prop_map(Step::LetGo),
    ]
}

/// Owners of a frame: address spaces, and whether it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owners {
    spaces: u32,
    kept: bool,
}

impl Owners {
    fn is_idle(self) -> bool {
        self.kept && self.spaces == 0
    }
}

/// The counts, how many frames they say are idle, and a map of the frames that somebody has.
struct Compared {
    counts: FrameCounts,
    idle: usize,
    model: BTreeMap<u32, Owners>,
}

impl Compared {
    /// An address space gets `frame`. A frame that nobody has is new: its first owner is not counted.
    fn add(&mut self, frame: u32) {
        let owners = self.model.entry(frame).or_default();
        let is_new = *owners == Owners::default();
        owners.spaces += 1;
        if !is_new {
            let woken = add(&mut self.counts, run(frame, 1));
            self.idle -= usize::try_from(woken).expect("few");
        }
    }

    /// An address space gives up `frame`, if one has it.
    fn release(&mut self, frame: u32) {
        let Entry::Occupied(mut place) = self.model.entry(frame) else {
            return;
        };
        if place.get().spaces == 0 {
            return;
        }
        let (freed, idle) = release(&mut self.counts, run(frame, 1));
        self.idle += usize::try_from(idle).expect("few");
        place.get_mut().spaces -= 1;
        let nobody = *place.get() == Owners::default();
        assert_eq!(freed == [frame], nobody, "{frame}");
        if nobody {
            place.remove();
        }
    }

    /// As the page cache does it: a frame that nobody has yet.
    fn keep(&mut self, frame: u32) {
        if let Entry::Vacant(place) = self.model.entry(frame) {
            place.insert(Owners {
                spaces: 0,
                kept: true,
            });
            self.counts.keep(frame);
            self.idle += 1;
        }
    }

    fn let_go(&mut self, frame: u32) {
        let Entry::Occupied(mut place) = self.model.entry(frame) else {
            return;
        };
        if !place.get().kept {
            return;
        }
        place.get_mut().kept = false;
        let nobody = place.get().spaces == 0;
        assert_eq!(self.counts.let_go(frame), nobody, "{frame}");
        if nobody {
            self.idle -= 1;
            place.remove();
        }
    }

    fn assert_same(&self) {
        let idle = self.model.values().filter(|owners| owners.is_idle());
        assert_eq!(self.idle, idle.count());
        for frame in 506..524 {
            let owners = self.model.get(&frame).copied().unwrap_or_default();
            let all = owners.spaces + u32::from(owners.kept);
            assert_eq!(self.counts.further(frame), all.saturating_sub(1), "{frame}");
        }
    }
}

proptest! {
    /// Against a map of owners: each frame is freed once, by its last owner, and how many are idle is right at
    /// any time.
    #[test]
    fn each_frame_is_freed_by_its_last_owner(steps in proptest::collection::vec(step(), 0..80)) {
        let mut compared = Compared {
            counts: counts(),
            idle: 0,
            model: BTreeMap::new(),
        };
        for step in steps {
            match step {
                Step::Add(run) => frames(run).for_each(|frame| compared.add(frame)),
                Step::Release(run) => frames(run).for_each(|frame| compared.release(frame)),
                Step::Keep(frame) => compared.keep(frame),
                Step::LetGo(frame) => compared.let_go(frame),
            }
            compared.assert_same();
        }
    }
}
