// SPDX-License-Identifier: GPL-2.0
//! Model of a queue's servers: whoever closes the queue sees all of them end, whatever they were about
//! to do, and a call that blocks does not stop the next one. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

#[path = "../../ihk-ikc/tests/model/queue.rs"]
mod model;

use std::time::Duration;

use ihk_ikc::atomic::{AtomicU32, Ordering};
use ihk_ikc::slot::Request;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use mckernel::serve::{call_all, serve, Server};
use model::{check, Memory};

/// A call that blocks until [`LATER`] is performed.
const BLOCKED: u64 = 8;
/// See [`BLOCKED`].
const LATER: u64 = 9;

/// A queue, and what its servers are told.
struct Scene {
    memory: Memory,
    /// The server that must end; 0: none.
    must_end: AtomicU32,
    /// Whether [`LATER`] was performed, for which [`BLOCKED`] waits.
    later_came: AtomicU32,
}

impl Scene {
    fn new(entries: usize) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(entries),
            must_end: AtomicU32::new(0),
            later_came: AtomicU32::new(0),
        })
    }

    fn close(&self) {
        let queue = self.memory.queue();
        queue.header.closing.store(1, Ordering::Release);
        call_all(&queue, |word| self.memory.wake(word));
    }
}

/// Answers a call with its number.
struct Answering {
    scene: Arc<Scene>,
    me: u32,
}

impl Server for Answering {
    const LOOK_FOR: Duration = Duration::ZERO;

    fn perform(&self, request: &Request) -> i64 {
        let later_came = &self.scene.later_came;
        if request.number == LATER {
            later_came.store(1, Ordering::SeqCst);
            self.scene.memory.wake(later_came);
        }
        while request.number == BLOCKED && later_came.load(Ordering::SeqCst) == 0 {
            self.scene.memory.sleep(later_came, 0);
        }
        request.number.cast_signed()
    }

    fn sleep(&self, word: &AtomicU32, value: u32) {
        self.scene.memory.sleep(word, value);
    }

    fn wake(&self, word: &AtomicU32) {
        self.scene.memory.wake(word);
    }

    fn hire(&self) {}

    fn pause(&self, _: Duration) {
        thread::yield_now();
    }

    fn must_end(&self) -> bool {
        self.scene.must_end.load(Ordering::Acquire) == self.me
    }
}

fn start(scene: &Arc<Scene>, me: u32) -> JoinHandle<()> {
    let scene = scene.clone();
    thread::spawn(move || {
        let server = Answering {
            scene: scene.clone(),
            me,
        };
        serve(&scene.memory.queue(), me, &server);
    })
}

#[test]
fn a_lead_ends_when_the_queue_is_closed() {
    check(3, || {
        let scene = Scene::new(1);
        let lead = start(&scene, 1);
        scene.close();
        lead.join().unwrap();
    });
}

#[test]
fn a_lead_that_has_answered_ends_when_the_queue_is_closed() {
    check(3, || {
        let scene = Scene::new(1);
        let lead = start(&scene, 1);
        assert_eq!(scene.memory.collect(scene.memory.post(7)), 7);
        scene.close();
        lead.join().unwrap();
    });
}

#[test]
fn lead_and_watcher_end_when_the_queue_is_closed() {
    check(2, || {
        let scene = Scene::new(1);
        let servers = [start(&scene, 1), start(&scene, 2)];
        scene.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}

#[test]
fn lead_watcher_and_reserve_end_when_the_queue_is_closed() {
    check(2, || {
        let scene = Scene::new(1);
        let servers = [1, 2, 3].map(|me| start(&scene, me));
        scene.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}

#[test]
fn a_server_that_must_end_does_and_the_other_goes_on() {
    check(2, || {
        let scene = Scene::new(1);
        let [one, other] = [1, 2].map(|me| start(&scene, me));
        scene.must_end.store(2, Ordering::Release);
        call_all(&scene.memory.queue(), |word| scene.memory.wake(word));
        other.join().unwrap();
        scene.close();
        one.join().unwrap();
    });
}

#[test]
fn a_call_that_blocks_does_not_stop_the_next() {
    check(1, || {
        let scene = Scene::new(2);
        let handles = [BLOCKED, LATER].map(|number| scene.memory.post(number));
        let servers = [1, 2].map(|me| start(&scene, me));
        assert_eq!(handles.map(|handle| scene.memory.collect(handle)), [8, 9]);
        scene.close();
        for server in servers {
            server.join().unwrap();
        }
    });
}
