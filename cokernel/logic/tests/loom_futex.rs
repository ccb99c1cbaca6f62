// SPDX-License-Identifier: GPL-2.0
//! Models of futexes: a waiter that saw the old value is woken, one that gives up while it is moved is
//! nowhere afterwards, and two that move each other's waiters do not wait for each other. Run with
//! `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use std::sync::Arc as StdArc;

use cokernel_logic::atomic::{AtomicU32, Ordering};
use cokernel_logic::futex_queue::{add, lock, requeue, take, Key, List, Waiter};
use cokernel_logic::sched_entity::FAIR;
use cokernel_logic::syscall::futex::ALL;
use loom::sync::{Arc, Mutex};
use loom::thread;

type Bucket = Mutex<List<(), Mutex<Key>>>;
type Waiting = StdArc<Waiter<(), Mutex<Key>>>;

/// Words at two addresses, and the buckets of those who wait.
struct Words {
    buckets: [Bucket; 2],
    word: AtomicU32,
}

fn key(n: u64) -> Key {
    Key::own(0, n * 4)
}

impl Words {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            buckets: [Mutex::new(Vec::new()), Mutex::new(Vec::new())],
            word: AtomicU32::new(0),
        })
    }

    /// As FUTEX_WAIT for the value 0: nothing if the word has another one.
    fn enter(&self, n: u64) -> Option<Waiting> {
        let mut waiters = lock(&self.buckets, key(n));
        if self.word.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let waiter = Waiter::new(key(n), ALL, false, FAIR, ());
        add(&mut waiters, waiter.clone());
        Some(waiter)
    }

    /// As FUTEX_WAKE.
    fn wake(&self, n: u64) -> usize {
        take(&mut lock(&self.buckets, key(n)), key(n), 1, ALL).len()
    }

    /// As FUTEX_REQUEUE of everybody.
    fn move_all(&self, from: u64, to: u64) -> usize {
        let moved = requeue(&self.buckets, (key(from), key(to)), (0, 9), || {
            Ok::<_, ()>(())
        });
        moved.unwrap().1
    }

    fn queued(&self) -> usize {
        let count = |bucket: &Bucket| bucket.lock().unwrap().len();
        self.buckets.iter().map(count).sum()
    }
}

/// The word changes, then one waiter is woken: whoever still saw the old value is that waiter.
#[test]
fn a_waiter_that_saw_the_old_value_is_woken() {
    loom::model(|| {
        let words = Words::new();
        let waker = {
            let words = words.clone();
            thread::spawn(move || {
                words.word.store(1, Ordering::Relaxed);
                words.wake(0)
            })
        };
        let waiter = words.enter(0);
        let woken = waker.join().unwrap();
        let is_woken = waiter.as_ref().is_some_and(|waiter| waiter.is_woken());
        assert_eq!(is_woken, waiter.is_some());
        assert_eq!(woken, usize::from(is_woken));
    });
}

/// A waiter runs out of time while it is moved and while somebody wakes it at the place it is moved to: it is
/// in no queue afterwards, and says that it was woken if it was counted as that.
#[test]
fn a_waiter_that_gives_up_while_it_is_moved_is_nowhere() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let words = Words::new();
        let waiter = words.enter(0).unwrap();
        let mover = {
            let words = words.clone();
            thread::spawn(move || words.move_all(0, 1))
        };
        let waker = {
            let words = words.clone();
            thread::spawn(move || words.wake(1))
        };
        let was_woken = waiter.withdraw(&words.buckets);
        mover.join().unwrap();
        assert_eq!(waker.join().unwrap(), usize::from(was_woken));
        assert_eq!(words.queued(), 0);
    });
}

/// Two threads requeue in opposite directions: neither waits for the other for ever, and nobody is lost.
#[test]
fn opposite_requeues_do_not_deadlock() {
    loom::model(|| {
        let words = Words::new();
        let waiters = [words.enter(0).unwrap(), words.enter(1).unwrap()];
        let other = {
            let words = words.clone();
            thread::spawn(move || words.move_all(1, 0))
        };
        words.move_all(0, 1);
        other.join().unwrap();
        assert_eq!(words.queued(), 2);
        let woken = words.wake(0) + words.wake(0) + words.wake(1) + words.wake(1);
        assert_eq!(woken, 2);
        assert!(waiters.iter().all(|waiter| waiter.is_woken()));
    });
}
