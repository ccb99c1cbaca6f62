// SPDX-License-Identifier: GPL-2.0
//! Model of the delegation slot: no wake-up is lost on either side, an answer always belongs to its
//! request, and what lies in the bounce page is there when the other side looks. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::errno::{Errno, SyscallResult};
use ihk_ikc::slot::{DelegationSlot, Request, Wake};
use loom::cell::Cell;
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

/// A bounce page: plain memory, which only the slot's state orders. Loom objects to an access that
/// is not ordered after the other side's last one.
#[derive(Default)]
struct Page(Cell<u64>);

// SAFETY: loom checks each access.
#[expect(unsafe_code, reason = "memory that two sides use by turns")]
unsafe impl Sync for Page {}

fn request(number: u64) -> Request {
    Request {
        number,
        args: [number; 6],
    }
}

/// The worker: sleeps whenever it finds nothing, answers `calls` requests with number + 1.
fn serve(
    slot: &DelegationSlot,
    page: &Page,
    (worker_bell, app_bell): (&Bell, &Bell),
    calls: usize,
) {
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
        assert_eq!(page.0.get(), taken.number, "old data of a request");
        page.0.set(taken.number + 1);
        if slot.finish(Ok(taken.number + 1)) == Wake::Ring {
            app_bell.ring();
        }
    }
}

/// The app thread: polls once, then gives its CPU away.
fn call(
    slot: &DelegationSlot,
    page: &Page,
    (worker_bell, app_bell): (&Bell, &Bell),
    number: u64,
) -> SyscallResult {
    page.0.set(number);
    if slot.post(&request(number)).unwrap() == Wake::Ring {
        worker_bell.ring();
    }
    loop {
        if let Some(result) = slot.poll().unwrap() {
            assert_eq!(page.0.get(), number + 1, "old data of an answer");
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
        let page = Arc::new(Page::default());
        let worker = {
            let (slot, bells, page) = (slot.clone(), bells.clone(), page.clone());
            thread::spawn(move || serve(&slot, &page, (&bells.0, &bells.1), 2))
        };
        for number in [7, 8] {
            let result = call(&slot, &page, (&bells.0, &bells.1), number);
            assert_eq!(result, Ok(number + 1));
        }
        worker.join().expect("the worker does not panic");
    });
}

const fn answer(cancelled: bool) -> SyscallResult {
    if cancelled {
        Err(Errno::EINTR)
    } else {
        Ok(0)
    }
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
                let _ = slot.finish(answer(cancelled));
                cancelled
            })
        };
        let set = slot.set_cancel();
        let seen = worker.join().expect("the worker does not panic");
        assert!(set || !seen, "seen although it was never set");
        assert_eq!(slot.poll().unwrap(), Some(answer(seen)));
    });
}
