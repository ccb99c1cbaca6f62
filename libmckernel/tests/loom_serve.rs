// SPDX-License-Identifier: GPL-2.0
//! Model of a queue's servers: whoever closes the queue sees all of them end, whatever they were about
//! to do, and a call that blocks does not stop the next one. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use std::collections::BTreeMap;
use std::time::Duration;

use ihk_ikc::atomic::{AtomicU32, AtomicU64, Ordering};
use ihk_ikc::queue::{Entry, Header, Queue, Wake};
use ihk_ikc::slot::Request;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, JoinHandle};
use mckernel::serve::{call_all, serve, Server};

/// The words of a queue, and their futexes.
struct Memory {
    header: Header,
    entries: Vec<Entry>,
    order: Vec<AtomicU64>,
    /// How often each word was woken, by its address.
    wakes: Mutex<BTreeMap<usize, u32>>,
    woken: Condvar,
    /// The server that must end; 0: none.
    must_end: AtomicU32,
    /// Whether [`LATER`] was performed, for which [`BLOCKED`] waits.
    later_came: AtomicU32,
}

/// A call that blocks until [`LATER`] is performed.
const BLOCKED: u64 = 8;
/// See [`BLOCKED`].
const LATER: u64 = 9;

impl Memory {
    fn new(entries: usize) -> Arc<Self> {
        Arc::new(Self {
            header: Header::new(u32::try_from(entries).unwrap()),
            entries: (0..entries).map(|_| Entry::new()).collect(),
            order: (0..entries).map(|_| AtomicU64::new(0)).collect(),
            wakes: Mutex::new(BTreeMap::new()),
            woken: Condvar::new(),
            must_end: AtomicU32::new(0),
            later_came: AtomicU32::new(0),
        })
    }

    fn queue(&self) -> Queue<'_> {
        Queue::new(&self.header, &self.entries, &self.order).unwrap()
    }

    /// As the kernel's: compares and queues itself in one step; never wakes for no reason, which would
    /// hide that nobody else woke it.
    fn sleep(&self, word: &AtomicU32, value: u32) {
        let mut wakes = self.wakes.lock().unwrap();
        if word.load(Ordering::SeqCst) != value {
            return;
        }
        let place = std::ptr::from_ref(word).addr();
        let before = wakes.get(&place).copied();
        while wakes.get(&place).copied() == before {
            wakes = self.woken.wait(wakes).unwrap();
        }
    }

    fn wake(&self, word: &AtomicU32) {
        let mut wakes = self.wakes.lock().unwrap();
        *wakes.entry(std::ptr::from_ref(word).addr()).or_default() += 1;
        self.woken.notify_all();
    }

    fn post(&self, number: u64) -> u32 {
        let request = Request {
            number,
            args: [number; 6],
        };
        let (handle, wake) = self.queue().post(&request, false).unwrap();
        if wake == Wake::All {
            self.wake(self.queue().bell());
        }
        handle
    }

    fn collect(&self, handle: u32) -> i64 {
        let queue = self.queue();
        loop {
            if let Ok((result, _)) = queue.collect(handle) {
                return result;
            }
            if let Some((word, value)) = queue.prepare_wait(handle).unwrap() {
                self.sleep(word, value);
            }
        }
    }

    fn close(&self) {
        self.header.closing.store(1, Ordering::Release);
        call_all(&self.queue(), |word| self.wake(word));
    }
}

/// Answers a call with its number.
struct Answering {
    memory: Arc<Memory>,
    me: u32,
}

impl Server for Answering {
    const LOOK_FOR: Duration = Duration::ZERO;

    fn perform(&self, request: &Request) -> i64 {
        let later_came = &self.memory.later_came;
        if request.number == LATER {
            later_came.store(1, Ordering::SeqCst);
            self.memory.wake(later_came);
        }
        while request.number == BLOCKED && later_came.load(Ordering::SeqCst) == 0 {
            self.memory.sleep(later_came, 0);
        }
        request.number.cast_signed()
    }

    fn sleep(&self, word: &AtomicU32, value: u32) {
        self.memory.sleep(word, value);
    }

    fn wake(&self, word: &AtomicU32) {
        self.memory.wake(word);
    }

    fn hire(&self) {}

    fn pause(&self, _: Duration) {
        thread::yield_now();
    }

    fn must_end(&self) -> bool {
        self.memory.must_end.load(Ordering::Acquire) == self.me
    }
}

fn start(memory: &Arc<Memory>, me: u32) -> JoinHandle<()> {
    let memory = memory.clone();
    thread::spawn(move || {
        let server = Answering {
            memory: memory.clone(),
            me,
        };
        serve(&memory.queue(), me, &server);
    })
}

fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(body);
}

#[test]
fn a_lead_ends_when_the_queue_is_closed() {
    check(3, || {
        let memory = Memory::new(1);
        let lead = start(&memory, 1);
        memory.close();
        lead.join().unwrap();
    });
}

#[test]
fn a_lead_that_has_answered_ends_when_the_queue_is_closed() {
    check(3, || {
        let memory = Memory::new(1);
        let lead = start(&memory, 1);
        assert_eq!(memory.collect(memory.post(7)), 7);
        memory.close();
        lead.join().unwrap();
    });
}

#[test]
fn lead_and_watcher_end_when_the_queue_is_closed() {
    check(2, || {
        let memory = Memory::new(1);
        let servers = [start(&memory, 1), start(&memory, 2)];
        memory.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}

#[test]
fn lead_watcher_and_reserve_end_when_the_queue_is_closed() {
    check(2, || {
        let memory = Memory::new(1);
        let servers = [1, 2, 3].map(|me| start(&memory, me));
        memory.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}

#[test]
fn a_server_that_must_end_does_and_the_other_goes_on() {
    check(2, || {
        let memory = Memory::new(1);
        let [one, other] = [1, 2].map(|me| start(&memory, me));
        memory.must_end.store(2, Ordering::Release);
        call_all(&memory.queue(), |word| memory.wake(word));
        other.join().unwrap();
        memory.close();
        one.join().unwrap();
    });
}

#[test]
fn a_call_that_blocks_does_not_stop_the_next() {
    check(1, || {
        let memory = Memory::new(2);
        let handles = [BLOCKED, LATER].map(|number| memory.post(number));
        let servers = [1, 2].map(|me| start(&memory, me));
        assert_eq!(handles.map(|handle| memory.collect(handle)), [8, 9]);
        memory.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}
