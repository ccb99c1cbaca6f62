// SPDX-License-Identifier: GPL-2.0
//! Models of the scheduler: a thread that goes to sleep is woken, whoever queues it, and it runs on one
//! CPU at a time, with the context that was saved. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use cokernel_logic::atomic::{AtomicBool, AtomicU32, Ordering};
use cokernel_logic::cpu_queue::{steal, CpuQueue};
use cokernel_logic::run_state::{RunState, State};
use cokernel_logic::runqueue::{Arrival, RunQueue, Times};
use cokernel_logic::sched_entity::{Entity, Schedulable};
use ihk_ikc::scheduling::{policy, Scheduling};
use loom::cell::Cell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A thread of a program: it waits until a condition holds, and ends.
struct Task {
    run: RunState,
    entity: Entity,
    /// Its saved registers: how often they were saved.
    context: Cell<u32>,
}

impl Schedulable for Task {
    fn entity(&self) -> &Entity {
        &self.entity
    }
}

const TIMES: Times = Times {
    slice: 10,
    shortest: 1,
    round_robin: 100,
    credit: 5,
    granularity: 1,
    starved: 1000,
    served: 50,
};

// SAFETY: loom checks each access.
#[expect(unsafe_code, reason = "the cell is what the model is about")]
unsafe impl Sync for Task {}

type Queue = CpuQueue<Arc<Task>, Mutex<RunQueue<Arc<Task>>>>;

/// The interrupt of a CPU: it stays until the CPU takes it.
#[derive(Default)]
struct Interrupt {
    came: Mutex<bool>,
    changed: Condvar,
}

impl Interrupt {
    fn send(&self) {
        *self.came.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut came = self.came.lock().unwrap();
        while !*came {
            came = self.changed.wait(came).unwrap();
        }
        *came = false;
    }
}

/// Two CPUs.
struct Machine {
    queues: [Queue; 2],
    interrupts: [Interrupt; 2],
    /// What the thread waits for.
    condition: AtomicBool,
    /// How often it has ended.
    ended: AtomicU32,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            queues: [Queue::new(0, TIMES), Queue::new(1, TIMES)],
            interrupts: [Interrupt::default(), Interrupt::default()],
            condition: AtomicBool::new(false),
            ended: AtomicU32::new(0),
        })
    }

    /// A thread that runs on CPU 0.
    fn task(&self) -> Arc<Task> {
        Arc::new(Task {
            run: RunState::running_on(0),
            entity: Entity::default(),
            context: Cell::new(0),
        })
    }

    /// As `sched::wake`, on CPU `me`: a thread without a CPU goes to `place`.
    fn wake(&self, me: usize, task: &Arc<Task>, place: u32) {
        if task.run.wake(|| place) {
            self.enqueue(me, task.clone(), Arrival::Woken);
        }
    }

    fn enqueue(&self, me: usize, task: Arc<Task>, arrival: Arrival) {
        let cpu = task.run.cpu() as usize;
        if self.queues[cpu].push(task, arrival, 0) {
            self.have_looked_at(me, cpu);
        }
    }

    fn have_looked_at(&self, me: usize, cpu: usize) {
        if cpu != me && self.queues[cpu].needs_interrupt() {
            self.interrupts[cpu].send();
        }
    }

    /// As `sched::stands_anew`, on CPU `me`.
    fn stands_anew(&self, me: usize, task: &Arc<Task>) {
        let is_it = |other: &Arc<Task>| Arc::ptr_eq(other, task);
        loop {
            let cpu = task.run.cpu() as usize;
            if self.queues[cpu].stands_anew(is_it, &task.entity, 0) {
                self.have_looked_at(me, cpu);
            }
            if task.run.cpu() as usize == cpu {
                return;
            }
        }
    }

    /// As the scheduler's look at its own queue, then at that of the other CPU.
    fn finds_work(&self, me: usize) -> bool {
        if self.queues[me].is_waited_for() {
            return true;
        }
        let other = [&self.queues[1 - me]].into_iter();
        let stolen = steal(other, |task| !task.run.is_on_cpu());
        let is_stolen = stolen.is_some();
        if let Some(task) = stolen {
            task.run.set_cpu(me as u32);
            self.queues[me].push(task, Arrival::Moved, 0);
        }
        is_stolen
    }

    /// As the idle loop. Whether somebody waits for CPU `me`; not when all has ended.
    fn idle(&self, me: usize) -> bool {
        loop {
            self.queues[me].begin_polling();
            let polled = self.finds_work(me);
            self.queues[me].end_polling();
            if polled || self.finds_work(me) {
                return true;
            }
            self.interrupts[me].wait();
            if self.ended.load(Ordering::Acquire) != 0 {
                return false;
            }
        }
    }

    /// The thread looks at its condition, and ends if it holds.
    fn step(&self, me: usize, task: &Arc<Task>) -> bool {
        task.run.prepare_to_block();
        if !self.condition.load(Ordering::Relaxed) {
            return false;
        }
        let is_it = |other: &Arc<Task>| Arc::ptr_eq(other, task);
        let take_out = || self.queues[me].remove(is_it).is_some();
        task.run.cancel_block(take_out, thread::yield_now);
        task.run.set(State::Dead);
        self.ended.fetch_add(1, Ordering::AcqRel);
        self.interrupts.iter().for_each(Interrupt::send);
        true
    }

    /// CPU `me`, which runs `current` if that is somebody, until the thread has ended.
    fn run(&self, me: usize, mut current: Option<Arc<Task>>) {
        loop {
            if current.as_ref().is_some_and(|task| self.step(me, task)) {
                return;
            }
            // The idle thread's part.
            let idle = Entity::default();
            let entity = current.as_ref().map_or(&idle, |task| &task.entity);
            let next = self.queues[me].pop(entity, false, 0).0;
            if let Some(next) = &next {
                next.run.set(State::Running);
            }
            if next.is_some() && current.is_some() {
                continue; // there is but one thread: it was woken before it had left
            }
            if let Some(next) = &next {
                next.run.enters_cpu();
                assert_ne!(next.context.get(), 0, "it runs with what was saved");
            }
            if let Some(previous) = current.take() {
                previous.context.set(previous.context.get() + 1);
                assert!(!previous.run.has_left(), "it does not move");
            }
            current = next;
            if current.is_none() && !self.idle(me) {
                return;
            }
        }
    }

    fn assert_ended(&self) {
        assert_eq!(self.ended.load(Ordering::Acquire), 1);
        let is_empty = |queue: &Queue| queue.pop(&Entity::default(), false, 0).0.is_none();
        assert!(self.queues.iter().all(is_empty), "nobody is left behind");
    }
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(body);
}

/// CPU 1 makes the condition hold and wakes; the thread is queued at CPU 0, which may have halted.
#[test]
fn who_goes_to_sleep_is_woken() {
    model(|| {
        let machine = Machine::new();
        let task = machine.task();
        let cpu_0 = {
            let (machine, task) = (machine.clone(), task.clone());
            thread::spawn(move || machine.run(0, Some(task)))
        };
        machine.condition.store(true, Ordering::Relaxed);
        machine.wake(1, &task, 0);
        cpu_0.join().unwrap();
        machine.assert_ended();
    });
}

/// Two CPUs wake the thread at once: it is queued once.
#[test]
fn who_is_woken_twice_runs_once() {
    model(|| {
        let machine = Machine::new();
        let task = machine.task();
        machine.condition.store(true, Ordering::Relaxed);
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let (machine, task) = (machine.clone(), task.clone());
                thread::spawn(move || machine.wake(1, &task, 0))
            })
            .collect();
        machine.run(0, Some(task));
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        machine.assert_ended();
    });
}

/// CPU 1 wakes the thread, then has nothing to do: it runs the thread itself, or takes it from the queue of
/// CPU 0, but never before CPU 0 has saved its context.
#[test]
fn who_is_stolen_runs_on_one_cpu_with_its_saved_context() {
    model(|| {
        let machine = Machine::new();
        let task = machine.task();
        let cpu_0 = {
            let (machine, task) = (machine.clone(), task.clone());
            thread::spawn(move || machine.run(0, Some(task)))
        };
        machine.condition.store(true, Ordering::Relaxed);
        machine.wake(1, &task, 1);
        machine.run(1, None);
        cpu_0.join().unwrap();
        machine.assert_ended();
    });
}

/// A CPU that is about to halt sees who is queued, or is interrupted.
#[test]
fn who_is_queued_at_an_idle_cpu_runs() {
    model(|| {
        let machine = Machine::new();
        let task = machine.task();
        task.run.set(State::Blocked);
        task.context.set(1);
        assert!(!task.run.has_left());
        machine.condition.store(true, Ordering::Relaxed);
        let cpu_0 = {
            let machine = machine.clone();
            thread::spawn(move || {
                assert!(machine.idle(0));
                machine.run(0, None);
            })
        };
        machine.wake(1, &task, 0);
        cpu_0.join().unwrap();
        machine.assert_ended();
    });
}

/// A thread that waits for CPU 0 becomes one of `SCHED_FIFO` while CPU 1 takes it away: wherever it ends up, it
/// waits there by its new rank.
#[test]
fn who_is_moved_while_its_priority_changes_waits_by_the_new_one() {
    model(|| {
        let machine = Machine::new();
        let task = machine.task();
        task.run.set(State::Blocked);
        assert!(!task.run.has_left());
        machine.wake(0, &task, 0);
        let mover = {
            let machine = machine.clone();
            thread::spawn(move || machine.finds_work(1))
        };
        let scheduling = Scheduling {
            policy: policy::FIFO,
            priority: 9,
            ..Scheduling::default()
        };
        task.entity.set_scheduling(scheduling);
        machine.stands_anew(0, &task);
        assert!(mover.join().unwrap());
        let fair = Arc::new(Task {
            run: RunState::running_on(1),
            entity: Entity::default(),
            context: Cell::new(0),
        });
        machine.queues[1].push(fair.clone(), Arrival::Woken, 0);
        let ranks = machine.queues[1].ranks();
        assert_eq!(
            ranks,
            [task.entity.standing().rank(), fair.entity.standing().rank()]
        );
    });
}
