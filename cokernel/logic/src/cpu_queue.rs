// SPDX-License-Identifier: GPL-2.0
//! One CPU's run queue, as this CPU and the others use it: who queues a thread interrupts the CPU unless
//! it looks by itself, and a CPU without work takes from the queues of others.
//!
//! ```text
//!             begin_polling                 end_polling
//!  looks at nothing ──────► polls, looks at ──────────► looks once more ──► halts until
//!     ▲                     the queue all the time      at the queue        an interrupt
//!     └───────────── a thread is there, or an interrupt came ─────────────────────┘
//! ```
//! **Arrival against halting** (loom: `tests/loom_sched.rs`). Who queues a thread does so first, fences,
//! and looks then whether the CPU polls, unless it runs somebody who goes on: then it looks at its queue when
//! that ends. A CPU that is about to halt says first that it does not poll,
//! fences, and looks at the queue then. So either the CPU sees the thread, or it is interrupted.
//!
//! **A thread is one CPU's** (the same model). A thread leaves a queue under the queue's lock, once: it
//! is whoever's took it out.

use core::marker::PhantomData;

use crate::atomic::{barrier_next_to_atomic, fence, AtomicBool, AtomicUsize, Ordering};
use crate::lock::Lock;
use crate::runqueue::{Arrival, RunQueue, Times};
use crate::sched_entity::{Entity, Schedulable};

/// See the module documentation; `L` locks the queue, of `T`.
pub struct CpuQueue<T, L> {
    queue: L,
    /// Length of the queue, for a look without the lock. Written under the lock.
    waiting: AtomicUsize,
    /// A program's thread runs.
    busy: AtomicBool,
    /// The idle loop polls the queue: no interrupt is needed to wake the CPU.
    polls: AtomicBool,
    items: PhantomData<T>,
}

impl<T: Schedulable, L: Lock<RunQueue<T>>> CpuQueue<T, L> {
    /// An empty queue of CPU `number`, which does nothing.
    #[must_use]
    pub fn new(number: u32, times: Times) -> Self {
        Self {
            queue: L::new(RunQueue::new(number, times)),
            waiting: AtomicUsize::new(0),
            busy: AtomicBool::new(false),
            polls: AtomicBool::new(false),
            items: PhantomData,
        }
    }

    /// The number of items that want the CPU.
    #[inline]
    pub fn load(&self) -> usize {
        self.waiting.load(Ordering::Acquire) + usize::from(self.busy.load(Ordering::Relaxed))
    }

    /// Whether somebody waits for the CPU.
    #[inline]
    pub fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Acquire) != 0
    }

    /// A program's thread runs from now on, or none.
    #[inline]
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// `item` waits from `now` on. Whether the CPU must look at its queue for that.
    #[inline]
    pub fn push(&self, item: T, arrival: Arrival, now: u64) -> bool {
        // Its standing is read, where it lies is said: see `Self::stands_anew`.
        barrier_next_to_atomic();
        self.with_queue(|queue| queue.push(item, arrival, now))
    }

    /// Takes the next item out, to run instead of `me`, which goes on if there is none and `goes_on` says
    /// so; also how long its turn lasts, if it has to share the CPU.
    #[inline]
    pub fn pop(&self, me: &Entity, goes_on: bool, now: u64) -> (Option<T>, Option<u64>) {
        self.with_queue(|queue| {
            let next = queue.pop(me, goes_on, now);
            (next, queue.turn_left(now))
        })
    }

    /// Whether somebody is to run instead of the item that runs; if not, how long its turn lasts, if it
    /// has to share the CPU.
    #[inline]
    pub fn look(&self, now: u64) -> Result<Option<u64>, Preempted> {
        self.with_queue(|queue| match queue.look(now) {
            true => Err(Preempted),
            false => Ok(queue.turn_left(now)),
        })
    }

    /// The standing of the item that `is_it`, with `entity`, may have changed. Whether the CPU must look at
    /// its queue for that. The caller changes the standing first and looks then which CPU the item is at,
    /// also afterwards; who moves an item says where it goes first and reads its standing then.
    pub fn stands_anew(&self, is_it: impl FnMut(&T) -> bool, entity: &Entity, now: u64) -> bool {
        self.with_queue(|queue| queue.stands_anew(is_it, entity, now))
    }

    /// Takes the first item for which `is_it` holds out of the queue.
    #[inline]
    pub fn remove(&self, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        self.with_queue(|queue| queue.remove(is_it))
    }

    /// Whether the CPU, in whose queue the caller has just put somebody, must be interrupted to see it.
    #[inline]
    pub fn needs_interrupt(&self) -> bool {
        fence(Ordering::SeqCst);
        !self.polls.load(Ordering::Relaxed)
    }

    /// The CPU looks at its queue all the time from now on.
    #[inline]
    pub fn begin_polling(&self) {
        self.polls.store(true, Ordering::SeqCst);
    }

    /// The CPU does not look by itself any more but once after this.
    #[inline]
    pub fn end_polling(&self) {
        self.polls.store(false, Ordering::SeqCst);
        barrier_next_to_atomic();
    }

    /// By which ranks the items wait, in their order.
    #[cfg(any(test, loom))]
    pub fn ranks(&self) -> alloc::vec::Vec<crate::sched_entity::Rank> {
        self.with_queue(|queue| queue.ranks().collect())
    }

    #[inline]
    fn with_queue<R>(&self, body: impl FnOnce(&mut RunQueue<T>) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = body(&mut queue);
        self.waiting.store(queue.len(), Ordering::Release);
        result
    }
}

/// Another item is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preempted;

/// Takes an item that waits for one of the `others` and that the caller's CPU `may_take`.
#[inline]
pub fn steal<'a, T: Schedulable + 'a, L: Lock<RunQueue<T>> + 'a>(
    others: impl Iterator<Item = &'a CpuQueue<T, L>>,
    mut may_take: impl FnMut(&T) -> bool,
) -> Option<T> {
    let mut waited_for = others.filter(|queue| queue.waiting.load(Ordering::Relaxed) != 0);
    waited_for.find_map(|queue| queue.remove(&mut may_take))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    type Queue<T> = CpuQueue<Item<T>, RefCell<RunQueue<Item<T>>>>;

    const TIMES: Times = Times {
        slice: 10,
        shortest: 1,
        round_robin: 100,
        credit: 5,
        granularity: 1,
        starved: 1000,
        served: 50,
    };

    /// A thread of nice 0 that is told by `it`.
    struct Item<T> {
        it: T,
        entity: Entity,
    }

    impl<T> Schedulable for Item<T> {
        fn entity(&self) -> &Entity {
            &self.entity
        }
    }

    impl<T> Queue<T> {
        fn number(number: u32) -> Self {
            Self::new(number, TIMES)
        }

        fn wakes(&self, it: T) -> bool {
            let entity = Entity::default();
            self.push(Item { it, entity }, Arrival::Woken, 0)
        }

        /// What it takes out when nobody runs, and whether more wait.
        fn next(&self) -> (Option<T>, bool) {
            let next = self.pop(&Entity::default(), false, 0).0;
            (next.map(|item| item.it), self.is_waited_for())
        }
    }

    #[test]
    fn load_counts_who_waits_and_who_runs() {
        let queue = Queue::number(0);
        assert_eq!((queue.load(), queue.is_waited_for()), (0, false));
        queue.set_busy(true);
        assert_eq!((queue.load(), queue.is_waited_for()), (1, false));
        queue.wakes('a');
        queue.wakes('b');
        assert_eq!((queue.load(), queue.is_waited_for()), (3, true));
        queue.set_busy(false);
        assert_eq!(queue.next(), (Some('a'), true));
        assert_eq!(queue.next(), (Some('b'), false));
        assert_eq!(queue.next(), (None, false));
        assert!(!queue.is_waited_for());
    }

    #[test]
    fn a_cpu_is_interrupted_unless_it_polls() {
        let queue = Queue::<u32>::number(0);
        assert!(queue.needs_interrupt());
        queue.begin_polling();
        assert!(!queue.needs_interrupt());
        queue.end_polling();
        assert!(queue.needs_interrupt());
    }

    #[test]
    fn a_thief_takes_the_first_that_it_may_have() {
        let queues = [Queue::number(0), Queue::number(1)];
        [1, 2, 3].into_iter().for_each(|item| {
            queues[1].wakes(item);
        });
        let stolen = steal(queues.iter(), |item| item.it >= 2);
        assert_eq!(stolen.map(|item| item.it), Some(2));
        assert!(steal(queues.iter(), |item| item.it == 2).is_none());
        assert_eq!(queues[1].load(), 2);
    }

    #[test]
    fn nobody_who_is_not_waited_for_is_asked() {
        let queues = [Queue::<u32>::number(0)];
        assert!(steal(queues.iter(), |_| panic!("it is empty")).is_none());
    }

    const CPUS: usize = 3;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A thread with that affinity becomes runnable on that CPU.
        Wake { cpu: usize, allowed: u8 },
        /// That CPU wants something to run.
        Run(usize),
        /// That CPU ends what it runs.
        End(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..CPUS, 1u8..8).prop_map(|(cpu, allowed)| Step::Wake { cpu, allowed }),
            3 => (0..CPUS).prop_map(Step::Run),
            1 => (0..CPUS).prop_map(Step::End),
        ]
    }

    /// The next thread for a CPU that has nothing to run: from its own queue first, then from those of others.
    fn next(queues: &[Queue<(usize, u8)>], me: usize) -> Option<(usize, u8)> {
        let others = queues.iter().enumerate().filter(|(cpu, _)| *cpu != me);
        let may_take = |item: &Item<(usize, u8)>| item.it.1 & 1 << me != 0;
        queues[me].next().0.or_else(|| {
            let stolen = steal(others.map(|(_, queue)| queue), may_take);
            stolen.map(|item| item.it)
        })
    }

    proptest! {
        /// Against a list of who waits where: every thread runs once, on a CPU that it was put on or
        /// that it allows, and no CPU idles while somebody waits whom it may run.
        #[test]
        fn every_thread_runs_once(steps in proptest::collection::vec(step(), 0..80)) {
            let queues: Vec<Queue<(usize, u8)>> = (0u32..).take(CPUS).map(Queue::number).collect();
            let mut waiting: Vec<(usize, usize, u8)> = Vec::new();
            let mut runs = [None; CPUS];
            let mut started = 0;
            for step in steps {
                match step {
                    Step::Wake { cpu, allowed } => {
                        let allowed = allowed | 1 << cpu;
                        queues[cpu].wakes((started, allowed));
                        waiting.push((started, cpu, allowed));
                        started += 1;
                    }
                    Step::Run(me) if runs[me].is_none() => {
                        let found = next(&queues, me);
                        let mine = |(_, cpu, allowed): &(usize, usize, u8)| *cpu == me || allowed & 1 << me != 0;
                        prop_assert_eq!(found.is_some(), waiting.iter().any(mine));
                        if let Some((thread, _)) = found {
                            let at = waiting.iter().position(|(it, ..)| *it == thread);
                            let entry = waiting.remove(at.expect("it waited, and has not run yet"));
                            prop_assert!(mine(&entry));
                            let longer = |(it, cpu, _): &(usize, usize, u8)| *it < thread && *cpu == me;
                            prop_assert!(entry.1 != me || !waiting.iter().any(longer));
                            runs[me] = Some(thread);
                        }
                    }
                    Step::End(me) => runs[me] = None,
                    Step::Run(_) => {}
                }
                for (cpu, queue) in queues.iter().enumerate() {
                    let here = waiting.iter().filter(|(_, at, _)| *at == cpu).count();
                    prop_assert_eq!(queue.load(), here);
                }
            }
        }
    }
}
