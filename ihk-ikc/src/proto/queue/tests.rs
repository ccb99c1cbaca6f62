// SPDX-License-Identifier: GPL-2.0
//! A queue whose two sides are one thread.

use super::super::slot::Request;
use super::*;

struct Memory(Header, Vec<Entry>, Vec<AtomicU64>);

impl Memory {
    fn new(entries: usize) -> Self {
        let header = Header::new(u32::try_from(entries).unwrap());
        let line = (0..entries).map(|_| Entry::new()).collect();
        Self(
            header,
            line,
            (0..entries).map(|_| AtomicU64::new(0)).collect(),
        )
    }

    fn queue(&self) -> Queue<'_> {
        Queue::new(&self.0, &self.1, &self.2).unwrap()
    }
}

fn request(number: u64) -> Request {
    Request {
        number,
        args: [number; 6],
    }
}

#[test]
fn calls_are_taken_in_the_order_of_posting_and_collected_in_any() {
    let memory = Memory::new(4);
    let queue = memory.queue();
    for round in 0..10 {
        let handles: Vec<u32> = (0..4)
            .map(|n| queue.post(&request(round * 4 + n), false).unwrap().0)
            .collect();
        assert!(queue.post(&request(99), false).is_none(), "it is full");
        for n in 0..4 {
            let (index, taken) = queue.take().unwrap();
            assert_eq!(taken, request(round * 4 + n));
            assert_eq!(
                queue.finish(index, i64::try_from(taken.number).unwrap()),
                (Wake::Nobody, Wake::Nobody)
            );
        }
        assert!(queue.take().is_none());
        for n in [2, 0, 3, 1] {
            let expected = i64::try_from(round * 4 + n).unwrap();
            let handle = handles[usize::try_from(n).unwrap()];
            assert_eq!(queue.collect(handle), Ok((expected, Wake::Nobody)));
            assert_eq!(queue.collect(handle), Err(HandleError::Unknown));
        }
    }
    assert!(queue.is_unused());
}

#[test]
fn results_before_their_time_and_foreign_handles_are_refused() {
    let memory = Memory::new(1);
    let queue = memory.queue();
    let (handle, _) = queue.post(&request(1), false).unwrap();
    assert_eq!(queue.collect(handle), Err(HandleError::Unfinished));
    for wrong in [handle ^ 1, handle ^ USE, 0, u32::MAX] {
        assert_eq!(queue.collect(wrong), Err(HandleError::Unknown));
    }
    let (index, _) = queue.take().unwrap();
    assert_eq!(queue.finish(index, 5).0, Wake::Nobody);
    assert_eq!(queue.prepare_wait(handle).unwrap().map(|_| ()), None);
}

#[test]
fn who_sleeps_is_woken_by_the_change_it_waits_for() {
    let memory = Memory::new(1);
    let queue = memory.queue();
    assert!(queue.prepare_sleep(queue.bell_seen()).is_some());
    let (handle, wake) = queue.post(&request(1), false).unwrap();
    assert_eq!(wake, Wake::All);
    let space = queue.space_seen();
    assert!(queue.prepare_space(space).is_some());
    assert!(queue.prepare_wait(handle).unwrap().is_some());
    let (index, _) = queue.take().unwrap();
    assert_eq!(queue.finish(index, 5), (Wake::All, Wake::Nobody));
    assert_eq!(queue.collect(handle), Ok((5, Wake::All)));
    assert!(queue.prepare_space(space).is_none());
}

#[test]
fn detached_calls_free_their_entry_themselves() {
    let memory = Memory::new(1);
    let queue = memory.queue();
    let (handle, _) = queue.post(&request(1), true).unwrap();
    assert_eq!(queue.collect(handle), Err(HandleError::Unknown));
    assert!(queue.prepare_space(queue.space_seen()).is_some());
    let (index, _) = queue.take().unwrap();
    assert_eq!(queue.finish(index, 0), (Wake::Nobody, Wake::All));
    assert!(queue.is_unused());
}

#[test]
fn a_garbled_order_does_no_harm() {
    let memory = Memory::new(2);
    let queue = memory.queue();
    memory.2[0].store(packed(0, 0xffff), Ordering::Relaxed);
    assert!(queue.take().is_none(), "no such entry: left behind");
    memory.2[1].store(packed(1, 0), Ordering::Relaxed);
    assert!(queue.take().is_none(), "nothing was posted there");
}
