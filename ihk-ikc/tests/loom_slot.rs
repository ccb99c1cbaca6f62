// SPDX-License-Identifier: GPL-2.0
//! Model of the delegation slot: no wake-up is lost on either side, and an answer always belongs
//! to its request. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::slot::{DelegationSlot, Request, Wake};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A doorbell: remembers that it rang until somebody waits for it.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    /// Sleeps while `still_asleep` says so and nobody rang: like a kernel wait, it looks once more
    /// after it has queued itself. A lost wake-up would deadlock the model.
    fn wait(&self, still_asleep: impl Fn() -> bool) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung && still_asleep() {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn request(number: u64) -> Request {
    Request {
        number,
        args: [number; 6],
    }
}

/// The worker: sleeps whenever it finds nothing, answers `calls` requests with number + 1.
fn serve(slot: &DelegationSlot, worker_bell: &Bell, app_bell: &Bell, calls: usize) {
    for _ in 0..calls {
        let taken = loop {
            if let Some(taken) = slot.take() {
                break taken;
            }
            if slot.set_asleep() {
                worker_bell.wait(|| slot.is_asleep());
                slot.clear_asleep();
            }
            thread::yield_now();
        };
        assert_eq!(taken, request(taken.number), "a torn request");
        let result = i64::try_from(taken.number).unwrap() + 1;
        if slot.finish(result) == Wake::Ring {
            app_bell.ring();
        }
    }
}

/// The app thread: polls once, then gives its CPU away.
fn call(slot: &DelegationSlot, worker_bell: &Bell, app_bell: &Bell, number: u64) -> i64 {
    if slot.post(&request(number)).unwrap() == Wake::Ring {
        worker_bell.ring();
    }
    loop {
        if let Some(result) = slot.poll().unwrap() {
            return result;
        }
        if slot.set_waiter() {
            app_bell.wait(|| slot.poll().unwrap().is_none());
        }
        thread::yield_now();
    }
}

#[test]
fn no_wake_up_is_lost_and_answers_match() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let slot = Arc::new(DelegationSlot::new());
        let bells = Arc::new((Bell::default(), Bell::default()));
        let worker = {
            let (slot, bells) = (slot.clone(), bells.clone());
            thread::spawn(move || serve(&slot, &bells.0, &bells.1, 2))
        };
        for number in [7, 8] {
            let result = call(&slot, &bells.0, &bells.1, number);
            assert_eq!(result, i64::try_from(number).unwrap() + 1);
        }
        worker.join().expect("the worker does not panic");
    });
}

#[test]
fn cancel_is_seen_or_too_late() {
    loom::model(|| {
        let slot = Arc::new(DelegationSlot::new());
        let _ = slot.post(&request(1)).unwrap();
        let worker = {
            let slot = slot.clone();
            thread::spawn(move || {
                let cancelled = slot.is_cancelled();
                let _ = slot.finish(if cancelled { -4 } else { 0 });
                cancelled
            })
        };
        let set = slot.set_cancel();
        let seen = worker.join().expect("the worker does not panic");
        assert!(set || !seen, "seen although it was never set");
        assert_eq!(slot.poll().unwrap(), Some(if seen { -4 } else { 0 }));
    });
}
