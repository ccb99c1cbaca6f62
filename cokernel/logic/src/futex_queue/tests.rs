// SPDX-License-Identifier: GPL-2.0
//! Tests of the queues of waiters, against futex(2) and a plain list.

use core::cell::RefCell;

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::sched_entity::FAIR;

type TestList = List<u32, RefCell<Key>>;
type Buckets = [RefCell<TestList>; 4];

fn buckets() -> Buckets {
    core::array::from_fn(|_| RefCell::default())
}

/// The word at place `n`; neighbours lie in different buckets.
fn word(n: u64) -> Key {
    Key::own(7, n * 4)
}

fn waits(buckets: &Buckets, key: Key, bits: u32, thread: u32) -> Arc<Waiter<u32, RefCell<Key>>> {
    waits_by(buckets, key, bits, FAIR, thread)
}

fn waits_by(
    buckets: &Buckets,
    key: Key,
    bits: u32,
    rank: Rank,
    thread: u32,
) -> Arc<Waiter<u32, RefCell<Key>>> {
    let waiter = Waiter::new(key, bits, false, rank, thread);
    add(&mut lock(buckets, key), waiter.clone());
    waiter
}

fn wants(buckets: &Buckets, key: Key, thread: u32) -> Arc<Waiter<u32, RefCell<Key>>> {
    let waiter = Waiter::new(key, ALL, true, FAIR, thread);
    add(&mut lock(buckets, key), waiter.clone());
    waiter
}

fn wake(buckets: &Buckets, key: Key, count: usize, bits: u32) -> Vec<u32> {
    let woken = take(&mut lock(buckets, key), key, count, bits);
    assert!(woken.iter().all(|waiter| waiter.is_woken()));
    woken.iter().map(|waiter| waiter.thread).collect()
}

fn move_all(buckets: &Buckets, from: Key, to: Key, wake: usize, most: usize) -> (Vec<u32>, usize) {
    let allowed = || Ok::<_, ()>(());
    let moved = requeue(buckets, (from, to), (wake, most), allowed);
    let (woken, count) = moved.expect("it is allowed");
    (woken.iter().map(|waiter| waiter.thread).collect(), count)
}

/// futex(2): a shared word is one object wherever it is mapped; a private one is its address in its process.
#[test]
fn shared_words_are_known_by_their_frame_and_own_ones_by_process_and_address() {
    assert_eq!(Key::shared(0x5000, 0x1000), Key::shared(0x5000, 0x2000));
    assert_ne!(Key::own(1, 0x1000), Key::own(2, 0x1000));
    assert_ne!(Key::own(1, 0x1000), Key::own(1, 0x1004));
    assert_ne!(Key::own(1, 0x5000), Key::shared(0x5000, 0x5000));
    assert!(Key::shared(0x5000, 0x1000).is_shared() && !Key::own(1, 0x5000).is_shared());
}

/// FUTEX_WAKE: at most val waiters; those of equal priority in the order of their waiting.
#[test]
fn who_waits_longest_is_woken_first() {
    let buckets = buckets();
    let waiters: Vec<_> = (0..3).map(|it| waits(&buckets, word(1), ALL, it)).collect();
    assert_eq!(wake(&buckets, word(1), 2, ALL), [0, 1]);
    assert!(!waiters[2].is_woken());
    assert_eq!(wake(&buckets, word(1), 9, ALL), [2]);
    assert_eq!(wake(&buckets, word(1), 9, ALL), []);
    assert_eq!(wake(&buckets, word(1), 0, ALL), []);
}

/// futex_queue: a plist, by priority; requeueing keeps it.
#[test]
fn who_has_priority_is_woken_first_here_and_where_it_is_moved() {
    let buckets = buckets();
    for (thread, rank) in [(0, FAIR), (1, 90), (2, 80), (3, 90), (4, FAIR)] {
        waits_by(&buckets, word(1), ALL, rank, thread);
    }
    waits_by(&buckets, word(2), ALL, 85, 5);
    assert_eq!(move_all(&buckets, word(1), word(2), 1, 9), (vec![2], 4));
    assert_eq!(wake(&buckets, word(2), 9, ALL), [5, 1, 3, 0, 4]);
}

/// rt_mutex: the waiter of the highest priority of this moment is the next owner.
#[test]
fn the_heir_is_who_has_priority_now() {
    let buckets = buckets();
    (0..3).for_each(|thread| drop(wants(&buckets, word(1), thread)));
    let bucket = lock(&buckets, word(1));
    let (next, more) = heir(
        &bucket,
        word(1),
        |thread| if *thread == 2 { 9 } else { FAIR },
    );
    assert_eq!((next.map(|next| next.thread), more), (Some(2), true));
}

#[test]
fn words_of_one_bucket_are_not_mixed_up() {
    let buckets = buckets();
    let (near, far) = (word(1), word(1 + 4));
    assert_eq!(near.index(4), far.index(4));
    waits(&buckets, near, ALL, 1);
    waits(&buckets, far, ALL, 2);
    assert_eq!(wake(&buckets, far, 9, ALL), [2]);
    assert_eq!(wake(&buckets, near, 9, ALL), [1]);
}

/// FUTEX_WAKE_BITSET: wakes who has a bit in common with val3.
#[test]
fn only_who_has_a_bit_in_common_is_woken() {
    let buckets = buckets();
    for (thread, bits) in [(1, 0b001), (2, 0b010), (3, 0b110)] {
        waits(&buckets, word(1), bits, thread);
    }
    assert_eq!(wake(&buckets, word(1), 9, 0b1000), []);
    assert_eq!(wake(&buckets, word(1), 1, 0b110), [2]);
    assert_eq!(wake(&buckets, word(1), 9, ALL), [1, 3]);
}

/// FUTEX_CMP_REQUEUE: wakes val waiters, moves up to val2 of the others, and counts both.
#[test]
fn requeueing_wakes_some_and_moves_others() {
    let buckets = buckets();
    (0..5).for_each(|it| drop(waits(&buckets, word(1), ALL, it)));
    waits(&buckets, word(2), ALL, 9);
    assert_eq!(
        move_all(&buckets, word(1), word(2), 1, 2),
        (Vec::from([0]), 2)
    );
    assert_eq!(wake(&buckets, word(1), 9, ALL), [3, 4]);
    assert_eq!(
        wake(&buckets, word(2), 9, ALL),
        [9, 1, 2],
        "behind who waited there"
    );
}

#[test]
fn requeueing_within_a_bucket_and_to_the_word_itself_loses_nobody() {
    for to in [word(1 + 4), word(1)] {
        let buckets = buckets();
        (0..3).for_each(|it| drop(waits(&buckets, word(1), ALL, it)));
        assert_eq!(move_all(&buckets, word(1), to, 0, 2).1, 2);
        let mut all = wake(&buckets, word(1), 9, ALL);
        all.extend(wake(&buckets, to, 9, ALL));
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    }
}

/// FUTEX_CMP_REQUEUE: EAGAIN if the word is not val3; nobody is woken or moved then.
#[test]
fn what_is_not_allowed_wakes_and_moves_nobody() {
    let buckets = buckets();
    waits(&buckets, word(1), ALL, 1);
    let refused = requeue(&buckets, (word(1), word(2)), (1, 1), || Err("changed"));
    assert_eq!(refused.err(), Some("changed"));
    assert_eq!(wake(&buckets, word(1), 9, ALL), [1]);
}

#[test]
fn who_withdraws_is_not_woken_any_more() {
    let buckets = buckets();
    let (first, second) = (
        waits(&buckets, word(1), ALL, 1),
        waits(&buckets, word(1), ALL, 2),
    );
    assert!(!first.withdraw(&buckets));
    assert_eq!(wake(&buckets, word(1), 9, ALL), [2]);
    assert!(second.withdraw(&buckets), "it was woken before");
}

#[test]
fn who_was_moved_withdraws_from_where_it_is() {
    let buckets = buckets();
    let waiter = waits(&buckets, word(1), ALL, 1);
    move_all(&buckets, word(1), word(2), 0, 9);
    assert_eq!(waiter.key(), word(2));
    assert!(!waiter.withdraw(&buckets));
    assert!(buckets.iter().all(|bucket| bucket.borrow().is_empty()));
}

/// futex(2), priority-inheritance futexes: FUTEX_WAKE and FUTEX_REQUEUE do not touch who waits in FUTEX_LOCK_PI.
#[test]
fn who_waits_to_own_a_word_is_not_woken_or_moved_like_others() {
    let buckets = buckets();
    let heir = wants(&buckets, word(1), 1);
    assert_eq!(wake(&buckets, word(1), 9, ALL), []);
    assert_eq!(move_all(&buckets, word(1), word(2), 9, 9), (Vec::new(), 0));
    assert!(has_heir(&lock(&buckets, word(1)), word(1)) && !heir.is_woken());
}

/// FUTEX_UNLOCK_PI: the word goes to the waiter that comes first.
#[test]
fn words_are_inherited_in_the_order_of_waiting() {
    let buckets = buckets();
    waits(&buckets, word(1), ALL, 9);
    wants(&buckets, word(1), 1);
    wants(&buckets, word(1), 2);
    let mut bucket = lock(&buckets, word(1));
    let mut order = Vec::new();
    while let (Some(next), more) = heir(&bucket, word(1), |_| FAIR) {
        take_heir(&mut bucket, &next);
        assert!(next.is_woken());
        assert_eq!(has_heir(&bucket, word(1)), more);
        order.push((next.thread, more));
    }
    assert_eq!(order, [(1, true), (2, false)]);
    assert_eq!(bucket.len(), 1, "who waits for the word to change is none");
}

/// exit_pi_state_list: what an ending thread owns is found by who waits for it.
#[test]
fn wanted_words_are_those_that_somebody_meant_waits_to_own() {
    let buckets = buckets();
    waits(&buckets, word(1), ALL, 1);
    wants(&buckets, word(2), 1);
    wants(&buckets, word(2), 1);
    wants(&buckets, word(3), 2);
    assert_eq!(wanted(&buckets, |thread| *thread == 1), [word(2)]);
    let mut all = wanted(&buckets, |_| true);
    all.sort_unstable_by_key(|key| key.address);
    assert_eq!(all, [word(2), word(3)]);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait {
        word: u64,
        bits: u32,
    },
    Wake {
        word: u64,
        count: usize,
        bits: u32,
    },
    Requeue {
        from: u64,
        to: u64,
        wake: usize,
        most: usize,
    },
    Withdraw(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any_word = || 0u64..8;
    prop_oneof![
        4 => (any_word(), 1u32..8).prop_map(|(word, bits)| Step::Wait { word, bits }),
        2 => (any_word(), 0usize..3, 1u32..8)
            .prop_map(|(word, count, bits)| Step::Wake { word, count, bits }),
        2 => (any_word(), any_word(), 0usize..2, 0usize..3)
            .prop_map(|(from, to, wake, most)| Step::Requeue { from, to, wake, most }),
        1 => any::<usize>().prop_map(Step::Withdraw),
    ]
}

/// A list of threads by word, in the order of their coming there.
#[derive(Default)]
struct Model(Vec<(u64, u32, u32)>);

impl Model {
    fn wake(&mut self, word: u64, count: usize, bits: u32) -> Vec<u32> {
        let mut woken = Vec::new();
        self.0.retain(|(at, its, thread)| {
            let chosen = woken.len() < count && *at == word && its & bits != 0;
            if chosen {
                woken.push(*thread);
            }
            !chosen
        });
        woken
    }

    fn move_to(&mut self, from: u64, to: u64, most: usize) -> usize {
        let (mut moved, mut stay) = (Vec::new(), Vec::new());
        for (at, bits, thread) in self.0.drain(..) {
            if at == from && moved.len() < most {
                moved.push((to, bits, thread));
            } else {
                stay.push((at, bits, thread));
            }
        }
        let count = moved.len();
        stay.append(&mut moved);
        self.0 = stay;
        count
    }
}

proptest! {
    #[test]
    fn a_plain_list_wakes_and_moves_the_same(steps in proptest::collection::vec(step(), 0..80)) {
        let buckets = buckets();
        let mut waiters = Vec::new();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Wait { word: n, bits } => {
                    let thread = u32::try_from(waiters.len()).expect("few");
                    waiters.push(waits(&buckets, word(n), bits, thread));
                    model.0.push((n, bits, thread));
                }
                Step::Wake { word: n, count, bits } => {
                    prop_assert_eq!(wake(&buckets, word(n), count, bits), model.wake(n, count, bits));
                }
                Step::Requeue { from, to, wake, most } => {
                    let expected = (model.wake(from, wake, ALL), model.move_to(from, to, most));
                    prop_assert_eq!(move_all(&buckets, word(from), word(to), wake, most), expected);
                }
                Step::Withdraw(which) if !waiters.is_empty() => {
                    let index = which % waiters.len();
                    let waits = model.0.iter().any(|(.., thread)| *thread as usize == index);
                    model.0.retain(|(.., thread)| *thread as usize != index);
                    if waits || waiters[index].is_woken() {
                        prop_assert_eq!(waiters[index].withdraw(&buckets), !waits);
                    }
                }
                Step::Withdraw(_) => {}
            }
            let queued: usize = buckets.iter().map(|bucket| bucket.borrow().len()).sum();
            prop_assert_eq!(queued, model.0.len());
        }
    }
}
