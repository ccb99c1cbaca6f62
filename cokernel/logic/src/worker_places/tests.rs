// SPDX-License-Identifier: GPL-2.0
//! Slots and workers: who gets which, and when a worker stays.

use alloc::collections::BTreeSet;
use alloc::vec;

use proptest::prelude::*;

use super::*;

const PER_PAGE: usize = 4;
const MOST: usize = 12;
type Few = Places<PER_PAGE, MOST>;

fn nobody(_: u32) -> Option<i32> {
    None
}

fn everybody(slot: u32) -> Option<i32> {
    i32::try_from(slot + 100).ok()
}

fn no_page(page: usize) -> Option<()> {
    unreachable!("page {page} is not needed")
}

/// Takes an empty slot while nobody has a worker; slots are added as needed.
fn take(places: &mut Few, most_spares: usize) -> Result<(u32, [u64; SPARES]), NoPlace> {
    places.take_empty(nobody, |_| Some(()), most_spares)
}

#[test]
fn the_first_slot_is_the_main_threads() {
    let mut places = Few::new(0);
    assert_eq!(places.take_empty(nobody, no_page, 0), Ok((1, [0; SPARES])));
    assert_eq!(places.take_empty(nobody, no_page, 0), Ok((2, [0; SPARES])));
}

#[test]
fn spares_are_as_many_as_threads_but_no_more_than_wanted_or_empty() {
    let mut places = Few::new(0);
    assert_eq!(take(&mut places, 5), Ok((1, [2, 0, 0, 0, 0])));
    let mut places = Few::new(0);
    take(&mut places, 0).expect("a slot");
    assert_eq!(take(&mut places, 5), Ok((2, [3, 0, 0, 0, 0])));
    let mut places = Places::<64, 64>::new(0);
    for _ in 0..9 {
        places.take_empty(nobody, no_page, 0).expect("a slot");
    }
    let taken = places.take_empty(nobody, no_page, 2);
    assert_eq!(taken, Ok((10, [11, 12, 0, 0, 0])));
    let taken = places.take_empty(nobody, no_page, 9);
    assert_eq!(taken, Ok((13, [14, 15, 16, 17, 18])));
}

#[test]
fn an_ordered_worker_is_ready_when_it_is_there() {
    let mut places = Few::new(0);
    take(&mut places, 1).expect("a slot");
    assert_eq!(places.take_ready(nobody), None);
    assert_eq!(places.take_ready(everybody), Some((2, 102)));
    assert_eq!(places.take_ready(everybody), None, "it is used now");
}

#[test]
fn the_worker_of_a_thread_is_not_ready_for_another_one() {
    let mut places = Few::new(0);
    take(&mut places, 0).expect("a slot");
    assert_eq!(places.take_ready(everybody), None);
}

#[test]
fn pages_are_added_one_by_one_until_there_are_most() {
    let mut places = Few::new(0);
    let mut added = vec![];
    for _ in 1..MOST {
        let add = |page| {
            added.push(page);
            Some(())
        };
        places.take_empty(nobody, add, 0).expect("a slot");
    }
    assert_eq!(added, [1, 2]);
    assert_eq!(places.take_empty(nobody, no_page, 0), Err(NoPlace::Full));
}

#[test]
fn without_memory_for_a_page_nothing_has_changed() {
    let mut places = Few::new(0);
    for _ in 1..PER_PAGE {
        take(&mut places, 0).expect("a slot");
    }
    assert_eq!(
        places.take_empty(nobody, |_| None, 0),
        Err(NoPlace::NoMemory)
    );
    assert_eq!(take(&mut places, 0), Ok((4, [0; SPARES])));
}

#[test]
fn a_slot_whose_worker_leaves_is_empty_when_that_is_gone() {
    let mut places = Few::new(0);
    for _ in 1..PER_PAGE {
        take(&mut places, 0).expect("a slot");
    }
    assert!(!places.retire(2, false));
    let full = places.take_empty(everybody, |_| None, 0);
    assert_eq!(full, Err(NoPlace::NoMemory), "it is there still");
    assert_eq!(places.take_empty(nobody, no_page, 0), Ok((2, [0; SPARES])));
}

#[test]
fn a_worker_that_stays_serves_the_next_thread() {
    let mut places = Few::new(0);
    take(&mut places, 0).expect("a slot");
    assert!(places.retire(1, true));
    assert_eq!(places.take_ready(everybody), Some((1, 101)));
}

/// The id of a thread that has ended is not given to the next one.
#[test]
fn a_worker_that_had_a_thread_rests_until_others_do() {
    let mut places = Places::<8, 8>::new(2);
    for slot in 1..4 {
        take_in(&mut places, slot);
        assert!(places.retire(slot, true));
        let expected = (slot == 3).then_some((1, 101));
        assert_eq!(places.take_ready(everybody), expected);
    }
    assert!(places.retire(1, true));
    let order = [(2, 102), (3, 103), (1, 101)];
    for (slot, tid) in order {
        assert_eq!(places.take_ready(everybody), Some((slot, tid)));
        assert!(places.retire(slot, true));
    }
}

/// A worker that had none has a new id.
#[test]
fn a_worker_that_had_no_thread_need_not_rest() {
    let mut places = Places::<8, 8>::new(5);
    take_in(&mut places, 1);
    let taken = places.take_empty(nobody, no_page, 1);
    assert_eq!(taken, Ok((2, [3, 0, 0, 0, 0])));
    assert!(places.retire(1, true));
    assert_eq!(places.take_ready(everybody), Some((3, 103)));
    assert_eq!(places.take_ready(everybody), None);
}

fn take_in(places: &mut Places<8, 8>, slot: u32) {
    let taken = places.take_empty(nobody, no_page, 0);
    assert_eq!(taken, Ok((slot, [0; SPARES])));
}

#[test]
fn only_so_many_workers_wait() {
    let mut places = Places::<64, 64>::new(0);
    let slots: Vec<u32> = (0..40)
        .map(|_| places.take_empty(nobody, no_page, 0).expect("a slot").0)
        .collect();
    let stayed = slots.iter().filter(|slot| places.retire(**slot, true));
    assert_eq!(stayed.count(), MOST_IDLE);
}

#[test]
fn clearing_leaves_no_worker_that_waits() {
    let mut places = Few::new(0);
    take(&mut places, 0).expect("a slot");
    take(&mut places, 1).expect("a slot");
    assert!(places.retire(1, true));
    assert_eq!(places.clear_ordered(), [1, 3]);
    assert_eq!(places.take_ready(everybody), None);
    assert_eq!(places.clear_ordered(), []);
}

#[test]
fn an_order_that_was_refused_can_be_put_back() {
    let mut places = Few::new(0);
    let (slot, spares) = take(&mut places, 1).expect("a slot");
    places.set(slot, Place::Empty);
    places.set(u32::try_from(spares[0]).expect("a slot"), Place::Empty);
    assert_eq!(take(&mut places, 0), Ok((slot, [0; SPARES])));
}

#[derive(Clone, Debug)]
enum Step {
    TakeEmpty(usize),
    TakeReady,
    Retire(usize, bool),
    Clear,
    /// Workers that were ordered come, those that were told to leave go.
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6usize).prop_map(Step::TakeEmpty),
        Just(Step::TakeReady),
        (any::<usize>(), any::<bool>()).prop_map(|(which, stays)| Step::Retire(which, stays)),
        Just(Step::Clear),
        Just(Step::Settle),
    ]
}

proptest! {
    /// Whatever happens, no two threads have a slot, and a slot that was given out empty has no
    /// worker of before.
    #[test]
    fn a_slot_belongs_to_one_thread_and_one_worker(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut model = Model::new();
        for step in steps {
            model.take(step)?;
        }
    }
}

/// The places, and who should have which.
struct Model {
    places: Few,
    threads: BTreeSet<u32>,
    ordered: BTreeSet<u32>,
    resting: Vec<u32>,
    leaving: BTreeSet<u32>,
    workers: BTreeSet<u32>,
}

impl Model {
    fn new() -> Self {
        Self {
            places: Few::new(0),
            threads: BTreeSet::from([0]),
            ordered: BTreeSet::new(),
            resting: Vec::new(),
            leaving: BTreeSet::new(),
            workers: BTreeSet::from([0]),
        }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::TakeEmpty(most_spares) => self.take_empty(most_spares)?,
            Step::TakeReady => self.take_ready()?,
            Step::Retire(which, may_stay) => self.retire(which, may_stay)?,
            Step::Clear => {
                let mut cleared = core::mem::take(&mut self.ordered);
                cleared.extend(self.resting.drain(..));
                prop_assert!(self.places.clear_ordered().iter().eq(&cleared));
                self.leaving.extend(cleared);
            }
            Step::Settle => {
                self.workers.extend(&self.ordered);
                let leaving = &self.leaving;
                self.workers.retain(|slot| !leaving.contains(slot));
            }
        }
        Ok(())
    }

    fn take_empty(&mut self, most_spares: usize) -> Result<(), TestCaseError> {
        let workers = &self.workers;
        let worker_of = |slot: u32| workers.contains(&slot).then_some(1);
        let taken = self.places.take_empty(worker_of, |_| Some(()), most_spares);
        let Ok((slot, spares)) = taken else {
            prop_assert_eq!(taken, Err(NoPlace::Full));
            return Ok(());
        };
        self.leaving.retain(|slot| workers.contains(slot));
        let spares = spares.into_iter().filter(|slot| *slot != 0);
        let spares = spares.map(|slot| u32::try_from(slot).expect("a slot"));
        let spares: Vec<u32> = spares.collect();
        prop_assert!(spares.len() <= most_spares.min(self.threads.len()));
        for slot in [slot].iter().chain(&spares) {
            prop_assert!((*slot as usize) < MOST);
            prop_assert!(!workers.contains(slot));
            prop_assert!(!self.ordered.contains(slot) && !self.threads.contains(slot));
            prop_assert!(!self.resting.contains(slot));
        }
        self.ordered.extend(spares);
        self.threads.insert(slot);
        self.workers.insert(slot);
        Ok(())
    }

    fn take_ready(&mut self) -> Result<(), TestCaseError> {
        let workers = &self.workers;
        let ready = self.ordered.iter().find(|slot| workers.contains(slot));
        let ready = ready.or_else(|| self.resting.first()).copied();
        let worker_of = |slot: u32| workers.contains(&slot).then_some(1);
        prop_assert_eq!(
            self.places.take_ready(worker_of),
            ready.map(|slot| (slot, 1))
        );
        if let Some(slot) = ready {
            self.ordered.remove(&slot);
            self.resting.retain(|resting| *resting != slot);
            self.threads.insert(slot);
        }
        Ok(())
    }

    fn retire(&mut self, which: usize, may_stay: bool) -> Result<(), TestCaseError> {
        let number = which % self.threads.len().max(1);
        // The main thread's stays for as long as the process.
        let slot = self
            .threads
            .iter()
            .nth(number)
            .copied()
            .filter(|slot| *slot != 0);
        let Some(slot) = slot else { return Ok(()) };
        self.threads.remove(&slot);
        prop_assert_eq!(self.places.retire(slot, may_stay), may_stay);
        if may_stay {
            self.resting.push(slot);
        } else {
            self.leaving.insert(slot);
        }
        Ok(())
    }
}
