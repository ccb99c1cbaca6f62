// SPDX-License-Identifier: GPL-2.0
//! Model of the call queue: no wake-up is lost by servers, by those who wait for a result or for
//! space, and each call is taken once. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::atomic::{AtomicU32, AtomicU64, Ordering};
use ihk_ikc::queue::{Entry, Header, Queue, Wake};
use ihk_ikc::slot::Request;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// The words of a queue, and a futex for all of them.
struct Memory {
    header: Header,
    entries: Vec<Entry>,
    order: Vec<AtomicU64>,
    sleepers: Mutex<()>,
    woken: Condvar,
}

impl Memory {
    fn new(entries: usize) -> Arc<Self> {
        Arc::new(Self {
            header: Header::new(u32::try_from(entries).unwrap()),
            entries: (0..entries).map(|_| Entry::new()).collect(),
            order: (0..entries).map(|_| AtomicU64::new(0)).collect(),
            sleepers: Mutex::new(()),
            woken: Condvar::new(),
        })
    }

    fn queue(&self) -> Queue<'_> {
        Queue::new(&self.header, &self.entries, &self.order).unwrap()
    }

    /// As the kernel's: compares and queues itself in one step; wakes for no reason allowed.
    fn sleep(&self, (word, value): (&AtomicU32, u32)) {
        let guard = self.sleepers.lock().unwrap();
        if word.load(Ordering::SeqCst) == value {
            drop(self.woken.wait(guard).unwrap());
        }
    }

    fn wake(&self, wake: Wake) {
        if wake == Wake::All {
            let _guard = self.sleepers.lock().unwrap();
            self.woken.notify_all();
        }
    }

    fn serve(&self, calls: usize) {
        let queue = self.queue();
        for _ in 0..calls {
            let (index, request) = loop {
                let seen = queue.bell_seen();
                if let Some(taken) = queue.take() {
                    break taken;
                }
                if let Some(place) = queue.prepare_sleep(seen) {
                    self.sleep(place);
                }
            };
            assert_eq!(request, call(request.number), "a torn request");
            let (waiters, space) = queue.finish(index, request.number as i64 + 1);
            self.wake(waiters);
            self.wake(space);
        }
    }

    fn post(&self, number: u64) -> u32 {
        let queue = self.queue();
        loop {
            let seen = queue.space_seen();
            if let Some((handle, wake)) = queue.post(&call(number), false) {
                self.wake(wake);
                return handle;
            }
            if let Some(place) = queue.prepare_space(seen) {
                self.sleep(place);
            }
        }
    }

    fn collect(&self, handle: u32) -> i64 {
        let queue = self.queue();
        loop {
            if let Ok((result, wake)) = queue.collect(handle) {
                self.wake(wake);
                return result;
            }
            if let Some(place) = queue.prepare_wait(handle).unwrap() {
                self.sleep(place);
            }
        }
    }
}

fn call(number: u64) -> Request {
    Request {
        number,
        args: [number; 6],
    }
}

fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(body);
}

#[test]
fn no_wake_up_is_lost_between_poster_and_server() {
    check(3, || {
        let memory = Memory::new(1);
        let server = {
            let memory = memory.clone();
            thread::spawn(move || memory.serve(2))
        };
        for number in [7, 8] {
            let handle = memory.post(number);
            assert_eq!(memory.collect(handle), number as i64 + 1);
        }
        server.join().unwrap();
    });
}

#[test]
fn a_poster_that_waits_for_space_is_woken() {
    check(2, || {
        let memory = Memory::new(1);
        memory.post(3);
        let (index, _) = memory.queue().take().unwrap();
        let _ = memory.queue().finish(index, 0);
        let first = 0x1_0000;
        let collector = {
            let memory = memory.clone();
            thread::spawn(move || memory.collect(first))
        };
        memory.post(4);
        assert_eq!(collector.join().unwrap(), 0);
    });
}

#[test]
fn two_servers_take_each_call_once() {
    check(2, || {
        let memory = Memory::new(2);
        for number in [1, 2] {
            memory.post(number);
        }
        let other = {
            let memory = memory.clone();
            thread::spawn(move || memory.queue().take().map(|(_, request)| request.number))
        };
        let mut taken = vec![memory.queue().take().map(|(_, request)| request.number)];
        taken.push(other.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [Some(1), Some(2)]);
    });
}
