// SPDX-License-Identifier: GPL-2.0
//! Model of the workers of a process: while threads end, one of them changes what threads inherit, and no
//! worker from before that waits for a thread afterwards. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use cokernel_logic::worker_places::Places;
use cokernel_logic::worker_pool::Pool;
use loom::sync::{Arc, Mutex};
use loom::thread;

type Workers = Pool<4, 4, Mutex<Places<4, 4>>>;

/// A worker is there in each slot but the main thread's.
fn worker(slot: u32) -> Option<i32> {
    Some(slot as i32 + 100)
}

fn pool() -> (Arc<Workers>, u32, u32) {
    let pool = Workers::new(0);
    let slot = || pool.take_empty(|_| None, |_| None, 0).unwrap().0;
    let (first, second) = (slot(), slot());
    (Arc::new(pool), first, second)
}

/// Each worker is told to leave once: by who ends, or by who changes.
#[test]
fn no_worker_from_before_a_change_waits_after_it() {
    loom::model(|| {
        let (pool, first, second) = pool();
        let ends = [first, second].map(|slot| {
            let pool = pool.clone();
            thread::spawn(move || pool.retire(slot, false))
        });
        let told = pool.begin_inheriting_state();
        for (slot, end) in [first, second].into_iter().zip(ends) {
            let stayed = end.join().unwrap();
            assert_eq!(told.contains(&slot), stayed, "slot {slot}");
        }
        assert_eq!(pool.take_ready(worker), None);
    });
}

/// A thread that begins while another one changes has a worker from before, which then is not told to leave.
#[test]
fn a_worker_that_got_a_thread_is_not_told_to_leave() {
    loom::model(|| {
        let (pool, first, _) = pool();
        assert!(pool.retire(first, false));
        let begins = {
            let pool = pool.clone();
            thread::spawn(move || {
                (!pool.inherits_state())
                    .then(|| pool.take_ready(worker))
                    .flatten()
            })
        };
        let told = pool.begin_inheriting_state();
        let taken = begins.join().unwrap();
        assert_eq!(taken.is_none(), told == [first]);
    });
}

/// Two threads change at once: one of them tells the worker.
#[test]
fn of_two_changes_one_tells_the_workers() {
    loom::model(|| {
        let (pool, first, _) = pool();
        assert!(pool.retire(first, false));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.begin_inheriting_state())
        };
        let told = pool.begin_inheriting_state();
        assert_eq!(told.len() + other.join().unwrap().len(), 1);
    });
}
