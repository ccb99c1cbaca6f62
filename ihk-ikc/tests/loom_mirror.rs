// SPDX-License-Identifier: GPL-2.0
//! Model of mirroring (the drawing in mcctrl's `mirror.rs`): the program never sees a page that Linux
//! no longer has mapped. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use std::collections::VecDeque;

/// What travels in the ring.
enum Message {
    Show(u64),
    Drop,
}

/// What mcctrl knows, under its lock.
#[derive(Default)]
struct Record {
    /// Changes noted so far.
    changes: u64,
    /// One is under way: looks wait for its end.
    changing: bool,
    /// Something is shown.
    shown: bool,
}

/// One page: 0 = none.
struct World {
    /// In Linux's page table.
    mapped: AtomicU64,
    record: Mutex<Record>,
    ring: Mutex<VecDeque<Message>>,
    /// In the co-kernel's page table.
    seen: AtomicU64,
}

const PAGE: u64 = 7;

impl World {
    fn new() -> Self {
        Self {
            mapped: AtomicU64::new(PAGE),
            record: Mutex::new(Record::default()),
            ring: Mutex::new(VecDeque::new()),
            seen: AtomicU64::new(0),
        }
    }

    /// The co-kernel takes what lies in its ring, in order.
    fn drain(&self) {
        let mut ring = self.ring.lock().unwrap();
        while let Some(message) = ring.pop_front() {
            let page = match message {
                Message::Show(page) => page,
                Message::Drop => 0,
            };
            self.seen.store(page, Ordering::Release);
        }
    }
}

/// M2–M4: a worker shows the page. Without the check of M4 (`careless`) the protocol is broken.
fn show(world: &World, careless: bool) {
    let since = {
        let record = world.record.lock().unwrap();
        if record.changing {
            return;
        }
        record.changes
    };
    let page = world.mapped.load(Ordering::Acquire);
    let mut record = world.record.lock().unwrap();
    if page != 0 && (careless || record.changes == since) {
        record.shown = true;
        world.ring.lock().unwrap().push_back(Message::Show(page));
    }
}

/// I1–I4 and the change itself: Linux takes the page away and frees it.
fn take_away(world: &World) {
    let shown = {
        let mut record = world.record.lock().unwrap();
        record.changes += 1;
        record.changing = true;
        record.shown
    };
    if shown {
        world.ring.lock().unwrap().push_back(Message::Drop);
        // The answer comes when everything up to here has been taken from the ring.
        world.drain();
        world.record.lock().unwrap().shown = false;
    }
    world.mapped.store(0, Ordering::Release);
    world.record.lock().unwrap().changing = false;
}

fn check(careless: bool) {
    loom::model(move || {
        let world = Arc::new(World::new());
        let showing = {
            let world = world.clone();
            thread::spawn(move || show(&world, careless))
        };
        let cokernel = {
            let world = world.clone();
            thread::spawn(move || world.drain())
        };
        take_away(&world);
        let seen_now = world.seen.load(Ordering::Acquire);
        showing.join().expect("showing does not panic");
        cokernel.join().expect("draining does not panic");
        world.drain();
        let seen_later = world.seen.load(Ordering::Acquire);
        assert_eq!((seen_now, seen_later), (0, 0), "a freed page is seen");
    });
}

#[test]
fn a_page_that_linux_took_away_is_not_seen() {
    check(false);
}

#[test]
#[should_panic(expected = "a freed page is seen")]
fn without_the_second_look_it_would_be() {
    check(true);
}
