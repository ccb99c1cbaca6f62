// SPDX-License-Identifier: GPL-2.0
//! Tests of the run queue: the rules of sched(7), and shares of time.

use alloc::rc::Rc;
use alloc::vec::Vec;

use ihk_ikc::scheduling::{policy, Scheduling};
use proptest::prelude::*;

use super::*;

/// In microseconds, as the co-kernel has them.
const TIMES: Times = Times {
    slice: 10_000,
    shortest: 1000,
    round_robin: 100_000,
    credit: 5000,
    granularity: 500,
    starved: 950_000,
    served: 50_000,
};

struct Task {
    number: u32,
    entity: Entity,
}

type Item = Rc<Task>;

impl Schedulable for Item {
    fn entity(&self) -> &Entity {
        &self.entity
    }
}

fn task(number: u32, policy: u8, priority: u8, nice: i8) -> Item {
    let scheduling = Scheduling {
        policy,
        priority,
        nice,
        resets_on_fork: false,
    };
    Rc::new(Task {
        number,
        entity: Entity::new(scheduling),
    })
}

fn normal(number: u32) -> Item {
    task(number, policy::NORMAL, 0, 0)
}

/// A CPU with a clock: as `sched.rs` uses the queue.
struct Cpu {
    queue: RunQueue<Item>,
    runs: Option<Item>,
    now: u64,
    idle: Entity,
}

impl Cpu {
    fn new() -> Self {
        Self {
            queue: RunQueue::new(0, TIMES),
            runs: None,
            now: 1000,
            idle: Entity::default(),
        }
    }

    /// `task` is woken; whoever is to run then runs.
    fn wakes(&mut self, task: &Item) {
        let must_look = self.queue.push(task.clone(), Arrival::Woken, self.now);
        if must_look && (self.runs.is_none() || self.queue.look(self.now)) {
            self.switches(Some(Arrival::Preempted));
        }
    }

    /// Who runs gives the CPU away, and waits again if `arrival` says how.
    fn switches(&mut self, arrival: Option<Arrival>) {
        let me = self.runs.take();
        if let (Some(me), Some(arrival)) = (&me, arrival) {
            self.queue.push(me.clone(), arrival, self.now);
        }
        let entity = me.as_ref().map_or(&self.idle, |me| &me.entity);
        self.runs = self.queue.pop(entity, false, self.now);
    }

    /// Who runs computes for `time`, in turns with the others.
    fn computes(&mut self, time: u64, mut runs: impl FnMut(u32, u64)) {
        let end = self.now + time;
        while self.now < end {
            let left = self.queue.turn_left(self.now).unwrap_or(u64::MAX);
            let step = left.min(end - self.now);
            runs(self.number(), step);
            self.now += step;
            if self.queue.look(self.now) {
                self.switches(Some(Arrival::Preempted));
            }
        }
    }

    fn number(&self) -> u32 {
        self.runs.as_ref().map_or(0, |task| task.number)
    }
}

#[test]
fn first_come_first_served() {
    let mut queue = RunQueue::new(0, TIMES);
    let idle = Entity::default();
    let next = |queue: &mut RunQueue<Item>| queue.pop(&idle, false, 0).map(|it| it.number);
    for number in 1..=3 {
        queue.push(normal(number), Arrival::Woken, 0);
    }
    assert_eq!((next(&mut queue), next(&mut queue)), (Some(1), Some(2)));
    queue.push(normal(4), Arrival::Woken, 0);
    assert_eq!(
        (next(&mut queue), next(&mut queue), next(&mut queue)),
        (Some(3), Some(4), None)
    );
}

#[test]
fn removed_items_do_not_run() {
    let mut queue = RunQueue::new(0, TIMES);
    queue.push(normal(1), Arrival::Woken, 0);
    queue.push(normal(2), Arrival::Woken, 0);
    assert!(queue.remove(|item| item.number == 1).is_some());
    assert!(queue.remove(|item| item.number == 1).is_none());
    let next = queue.pop(&Entity::default(), false, 0);
    assert_eq!(next.map(|item| item.number), Some(2));
    assert!(queue.is_empty());
}

#[test]
fn who_sleeps_runs_at_once_when_it_is_woken_beside_any_number_that_compute() {
    for computing in [1, 2, 8] {
        let mut cpu = Cpu::new();
        (1..=computing).for_each(|number| cpu.wakes(&normal(number)));
        let sleeper = normal(99);
        cpu.wakes(&sleeper);
        cpu.computes(200_000, |_, _| ());
        while cpu.number() != 99 {
            cpu.computes(10_000, |_, _| ());
        }
        for _ in 0..100 {
            cpu.computes(50, |number, _| assert_eq!(number, 99));
            cpu.switches(None);
            cpu.computes(1000, |number, _| assert_ne!(number, 99));
            cpu.wakes(&sleeper);
            assert_eq!(cpu.number(), 99);
        }
    }
}

#[test]
fn who_slept_for_long_does_not_hold_the_cpu_for_as_long() {
    let mut cpu = Cpu::new();
    let sleeper = normal(2);
    cpu.wakes(&sleeper);
    cpu.switches(None);
    cpu.wakes(&normal(1));
    cpu.computes(60_000_000, |_, _| ());
    cpu.wakes(&sleeper);
    let mut had = 0;
    cpu.computes(100_000, |number, time| {
        had += if number == 2 { time } else { 0 }
    });
    assert!((50_000..=60_000).contains(&had), "{had}");
}

/// Two that talk to each other run in turns as they block, not at each wake.
#[test]
fn who_has_just_begun_is_not_interrupted_by_who_it_wakes() {
    let mut cpu = Cpu::new();
    let (one, other) = (normal(1), normal(2));
    cpu.wakes(&one);
    cpu.wakes(&other);
    cpu.switches(None);
    for _ in 0..1000 {
        cpu.computes(20, |_, _| ());
        let (me, peer) = if cpu.number() == 1 {
            (1, &other)
        } else {
            (2, &one)
        };
        cpu.wakes(peer);
        assert_eq!(cpu.number(), me);
        cpu.switches(None);
    }
}

/// Who is woken while another has only begun waits until that one has computed, not for its whole slice.
#[test]
fn who_is_woken_too_early_waits_for_no_slice() {
    let mut cpu = Cpu::new();
    let (one, other) = (normal(1), normal(2));
    cpu.wakes(&other);
    cpu.switches(None);
    cpu.wakes(&one);
    cpu.computes(100, |_, _| ());
    cpu.wakes(&other);
    let mut order = Vec::new();
    cpu.computes(1000, |number, time| order.push((number, time)));
    assert_eq!(order[..2], [(1, 400), (2, 600)]);
}

/// sched(7): "When a SCHED_FIFO thread becomes runnable, it will always immediately preempt any currently
/// running SCHED_OTHER, SCHED_BATCH, or SCHED_IDLE thread", and one of lower priority.
#[test]
fn a_higher_priority_runs_at_once_and_a_lower_one_not_at_all() {
    let mut cpu = Cpu::new();
    cpu.wakes(&normal(1));
    cpu.wakes(&task(2, policy::FIFO, 5, 0));
    assert_eq!(cpu.number(), 2);
    cpu.wakes(&task(3, policy::RR, 5, 0));
    cpu.wakes(&task(4, policy::FIFO, 4, 0));
    assert_eq!(cpu.number(), 2);
    cpu.wakes(&task(5, policy::RR, 6, 0));
    assert_eq!(cpu.number(), 5);
    cpu.computes(900_000, |number, _| assert_eq!(number, 5));
    let mut order = Vec::new();
    for _ in 0..5 {
        cpu.switches(None);
        order.push(cpu.number());
    }
    // "A SCHED_FIFO thread that has been preempted by another thread of higher priority will stay at the
    // head of the list for its priority".
    assert_eq!(order, [2, 3, 4, 1, 0]);
}

/// The fair server of kernel/sched/deadline.c: 50 ms of each second for who waits behind real-time threads.
#[test]
fn fair_threads_have_a_twentieth_beside_real_time_ones() {
    for policy in [policy::FIFO, policy::RR] {
        let mut cpu = Cpu::new();
        (1..=2).for_each(|number| cpu.wakes(&normal(number)));
        (3..=4).for_each(|number| cpu.wakes(&task(number, policy, 9, 0)));
        let mut had = [0; 5];
        cpu.computes(10_000_000, |number, time| had[number as usize] += time);
        assert_eq!(had[1] + had[2], 500_000, "{had:?}");
        assert!(had[1].abs_diff(had[2]) <= 2 * TIMES.slice, "{had:?}");
        // A higher priority does not end the service, and a served one that sleeps ends it.
        cpu.computes(960_000, |_, _| ());
        assert!(cpu.number() < 3);
        cpu.wakes(&task(9, policy::FIFO, 50, 0));
        assert!(cpu.number() < 3);
        cpu.switches(None);
        assert_eq!(cpu.number(), 9);
    }
}

/// sched(7): a SCHED_RR thread that has run as long as its quantum goes to the end of its list; a SCHED_FIFO
/// one never does but by sched_yield(2).
#[test]
fn round_robin_takes_turns_and_fifo_does_not() {
    let mut cpu = Cpu::new();
    (1..=3).for_each(|number| cpu.wakes(&task(number, policy::RR, 9, 0)));
    let mut order = Vec::new();
    cpu.computes(400_000, |number, time| order.push((number, time)));
    assert_eq!(
        order,
        [(1, 100_000), (2, 100_000), (3, 100_000), (1, 100_000)]
    );

    let mut cpu = Cpu::new();
    (1..=2).for_each(|number| cpu.wakes(&task(number, policy::FIFO, 9, 0)));
    cpu.computes(1_000_000, |number, _| assert_eq!(number, 1));
    cpu.switches(Some(Arrival::Yields));
    assert_eq!(cpu.number(), 2);
    cpu.switches(Some(Arrival::Yields));
    assert_eq!(cpu.number(), 1);
}

/// A SCHED_RR thread that others interrupt all the time has its quantum all the same, and no more.
#[test]
fn an_interrupted_turn_goes_on() {
    let mut cpu = Cpu::new();
    (1..=2).for_each(|number| cpu.wakes(&task(number, policy::RR, 9, 0)));
    let higher = task(3, policy::FIFO, 10, 0);
    let mut had = [0; 3];
    for _ in 0..10 {
        cpu.computes(20_000, |number, time| had[number as usize] += time);
        cpu.wakes(&higher);
        assert_eq!(cpu.number(), 3);
        cpu.computes(10, |_, _| ());
        cpu.switches(None);
    }
    assert_eq!(had[1..], [100_000, 100_000]);
}

/// sched(7): the batch policy does not preempt, and any other preempts the idle policy.
#[test]
fn batch_waits_for_its_turn_and_idle_gives_way() {
    let mut cpu = Cpu::new();
    cpu.wakes(&normal(1));
    cpu.computes(50_000, |_, _| ());
    cpu.wakes(&task(2, policy::BATCH, 0, 0));
    cpu.wakes(&task(3, policy::IDLE, 0, 0));
    assert_eq!(cpu.number(), 1);
    let mut cpu = Cpu::new();
    cpu.wakes(&task(3, policy::IDLE, 0, 0));
    cpu.computes(100, |_, _| ());
    cpu.wakes(&normal(1));
    assert_eq!(cpu.number(), 1);
}

#[test]
fn who_yields_lets_every_other_run_first() {
    let mut cpu = Cpu::new();
    (1..=3).for_each(|number| cpu.wakes(&normal(number)));
    let mut order = Vec::new();
    for _ in 0..6 {
        cpu.computes(10, |_, _| ());
        cpu.switches(Some(Arrival::Yields));
        order.push(cpu.number());
    }
    assert_eq!(order, [2, 3, 1, 2, 3, 1]);
}

/// The holder of a lock may be of any priority.
#[test]
fn who_waits_for_a_lock_of_the_kernel_lets_even_lower_priorities_run() {
    let mut cpu = Cpu::new();
    cpu.wakes(&normal(1));
    cpu.wakes(&task(2, policy::FIFO, 50, 0));
    assert_eq!(cpu.number(), 2);
    cpu.switches(Some(Arrival::Waits));
    assert_eq!(cpu.number(), 1);
    cpu.switches(Some(Arrival::Waits));
    assert_eq!(cpu.number(), 2);
}

/// sched_setscheduler(2) of a thread that waits, and of the one that runs.
#[test]
fn a_new_priority_counts_at_once() {
    let mut cpu = Cpu::new();
    let (one, two) = (normal(1), normal(2));
    cpu.wakes(&one);
    cpu.wakes(&two);
    let fifo = task(0, policy::FIFO, 3, 0).entity.scheduling();
    two.entity.set_scheduling(fifo);
    let is_it = |item: &Item| Rc::ptr_eq(item, &two);
    assert!(cpu.queue.stands_anew(is_it, &two.entity, cpu.now));
    assert!(cpu.queue.look(cpu.now));
    cpu.switches(Some(Arrival::Preempted));
    assert_eq!(cpu.number(), 2);
    two.entity.set_scheduling(Scheduling::default());
    cpu.computes(1000, |number, _| assert_eq!(number, 2));
    assert!(cpu.queue.stands_anew(is_it, &two.entity, cpu.now));
    let mut had = 0;
    cpu.computes(200_000, |number, time| {
        had += if number == 2 { time } else { 0 }
    });
    assert!((90_000..=110_000).contains(&had), "{had}");
}

proptest! {
    /// setpriority(2): threads that compute share the CPU as their weights say.
    #[test]
    fn time_is_shared_by_weight(nices in proptest::collection::vec(-20i8..20, 2..6)) {
        let mut cpu = Cpu::new();
        let tasks: Vec<_> = (1..).zip(&nices).map(|(number, nice)| task(number, policy::NORMAL, 0, *nice)).collect();
        tasks.iter().for_each(|task| cpu.wakes(task));
        let mut had = [0u64; 7];
        cpu.computes(400_000_000, |number, time| had[number as usize] += time);
        let weights: u64 = tasks.iter().map(|task| task.entity.standing().weight()).sum();
        for task in &tasks {
            let fair = 400_000_000 * task.entity.standing().weight() / weights;
            let got = had[task.number as usize];
            // Within two turns.
            prop_assert!(got.abs_diff(fair) <= 2 * TIMES.slice + fair / 50, "{got} of {fair}");
        }
    }

    /// Whatever happens, each thread is in one place, and nobody waits behind a lower rank.
    #[test]
    fn ranks_are_kept(steps in proptest::collection::vec((0..6u8, 0..5usize, 0..20_000u64), 0..80)) {
        let mut cpu = Cpu::new();
        let policies = [policy::NORMAL, policy::FIFO, policy::RR, policy::IDLE, policy::FIFO];
        let tasks: Vec<_> = (1..).zip(policies).map(|(number, it)| {
            let priority = if matches!(it, policy::FIFO | policy::RR) { u8::try_from(number).unwrap_or(1) } else { 0 };
            task(number, it, priority, 0)
        }).collect();
        let mut blocked: Vec<Item> = tasks.clone();
        for (step, which, time) in steps {
            match step {
                0 | 1 if !blocked.is_empty() => {
                    let woken = blocked.remove(which % blocked.len());
                    cpu.wakes(&woken);
                }
                2 => {
                    blocked.extend(cpu.runs.clone());
                    cpu.switches(None);
                }
                3 => cpu.switches(Some(Arrival::Yields)),
                4 => {
                    let scheduling = tasks[(which + 1) % 5].entity.scheduling();
                    tasks[which].entity.set_scheduling(scheduling);
                    let is_it = |item: &Item| Rc::ptr_eq(item, &tasks[which]);
                    cpu.queue.stands_anew(is_it, &tasks[which].entity, cpu.now);
                    if cpu.queue.look(cpu.now) {
                        cpu.switches(Some(Arrival::Preempted));
                    }
                }
                _ if cpu.runs.is_some() => cpu.computes(time, |_, _| ()),
                _ => {}
            }
            let waiting = cpu.queue.len() + usize::from(cpu.runs.is_some());
            prop_assert_eq!(waiting + blocked.len(), tasks.len());
            let ranks: Vec<_> = cpu.queue.ranks().collect();
            prop_assert!(ranks.is_sorted());
            if let Some(runs) = &cpu.runs {
                let rank = runs.entity.standing().rank();
                prop_assume!(cpu.now < cpu.queue.starved_since.unwrap_or(cpu.now) + TIMES.starved && cpu.now >= cpu.queue.served_until);
                prop_assert!(ranks.first().is_none_or(|first| rank <= *first));
            } else {
                prop_assert!(ranks.is_empty());
            }
        }
    }
}
