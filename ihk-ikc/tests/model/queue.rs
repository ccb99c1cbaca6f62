// SPDX-License-Identifier: GPL-2.0
//! The memory of a call queue in a model, with futexes on its words. The models of `libmckernel` use it, too.

use std::collections::BTreeMap;

use ihk_ikc::atomic::{AtomicU32, AtomicU64, Ordering};
use ihk_ikc::queue::{Entry, Header, Queue, Wake};
use ihk_ikc::slot::Request;
use loom::sync::{Condvar, Mutex};

/// The words of a queue, and their futexes.
pub(crate) struct Memory {
    header: Header,
    entries: Vec<Entry>,
    order: Vec<AtomicU64>,
    /// The number of times that each word was woken, by its address.
    wakes: Mutex<BTreeMap<usize, u32>>,
    woken: Condvar,
}

impl Memory {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            header: Header::new(u32::try_from(entries).unwrap()),
            entries: (0..entries).map(|_| Entry::new()).collect(),
            order: (0..entries).map(|_| AtomicU64::new(0)).collect(),
            wakes: Mutex::new(BTreeMap::new()),
            woken: Condvar::new(),
        }
    }

    pub(crate) fn queue(&self) -> Queue<'_> {
        Queue::new(&self.header, &self.entries, &self.order).unwrap()
    }

    /// As the kernel's: compares and queues itself in one step; never wakes for no reason, which would
    /// hide that nobody else woke it.
    pub(crate) fn sleep(&self, word: &AtomicU32, value: u32) {
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

    pub(crate) fn wake(&self, word: &AtomicU32) {
        let mut wakes = self.wakes.lock().unwrap();
        *wakes.entry(std::ptr::from_ref(word).addr()).or_default() += 1;
        self.woken.notify_all();
    }

    /// Wakes who sleeps on `word`, if an operation said so.
    pub(crate) fn wake_if(&self, wake: Wake, word: &AtomicU32) {
        if wake == Wake::All {
            self.wake(word);
        }
    }

    /// Posts [`call`]`(number)`; its handle.
    pub(crate) fn post(&self, number: u64) -> u32 {
        let queue = self.queue();
        loop {
            let seen = queue.space_seen();
            if let Some((handle, wake)) = queue.post(&call(number), false) {
                self.wake_if(wake, queue.bell());
                return handle;
            }
            if let Some((word, value)) = queue.prepare_space(seen) {
                self.sleep(word, value);
            }
        }
    }

    /// Waits for the result of the call with that handle.
    pub(crate) fn collect(&self, handle: u32) -> i64 {
        let queue = self.queue();
        loop {
            if let Ok((result, wake)) = queue.collect(handle) {
                self.wake_if(wake, queue.space());
                return result;
            }
            if let Some((word, value)) = queue.prepare_wait(handle).unwrap() {
                self.sleep(word, value);
            }
        }
    }
}

/// A request whose words are all `number`, so that a torn one is noticed.
pub(crate) fn call(number: u64) -> Request {
    Request {
        number,
        args: [number; 6],
    }
}

/// Checks all executions of `body` with that many preemptions.
pub(crate) fn check(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(body);
}
