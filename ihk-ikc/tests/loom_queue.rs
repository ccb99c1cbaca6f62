// SPDX-License-Identifier: GPL-2.0
//! Model of the call queue: no wake-up is lost by servers, by those who wait for a result or for
//! space, and each call is taken once. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

#[path = "model/queue.rs"]
mod model;

use loom::sync::Arc;
use loom::thread;
use model::{call, check, Memory};

/// Answers that many calls, each with its number and 1.
fn serve(memory: &Memory, calls: usize) {
    let queue = memory.queue();
    for _ in 0..calls {
        let (index, request) = loop {
            let seen = queue.bell_seen();
            if let Some(taken) = queue.take() {
                break taken;
            }
            if let Some((word, value)) = queue.prepare_sleep(seen) {
                memory.sleep(word, value);
            }
        };
        assert_eq!(request, call(request.number), "a torn request");
        let (waiters, space) = queue.finish(index, request.number as i64 + 1);
        memory.wake_if(waiters, queue.state_of(index));
        memory.wake_if(space, queue.space());
    }
}

#[test]
fn no_wake_up_is_lost_between_poster_and_server() {
    check(3, || {
        let memory = Arc::new(Memory::new(1));
        let server = {
            let memory = memory.clone();
            thread::spawn(move || serve(&memory, 2))
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
        let memory = Arc::new(Memory::new(1));
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
        let memory = Arc::new(Memory::new(2));
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
