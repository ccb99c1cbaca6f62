// SPDX-License-Identifier: GPL-2.0
//! The whereabouts of a thread: its state, its CPU, whether its context is in a CPU still, and whether it must
//! look for work before it goes back to user mode.
//!
//! ```text
//!              popped, switched to
//!  Runnable ───────────────────────► Running ──── migrates ────► Moving
//!   ▲  ▲ ▲         yields              │  ▲                        │
//!   │  │ └─────────────────────────────┤  │ its condition holds:   │
//!   │  │                 prepares      │  │ cancel_block           │
//!   │  │  wake           to block      ▼  │                        │
//!   │  └───────────────────────────── Blocked       Running ► Dead │
//!   └──────────────── the CPU has left it: has_left ───────────────┘
//! ```
//!
//! **Sleep against wake-up** (loom: `tests/loom_sched.rs`). Who sleeps says Blocked first and looks at
//! its condition then; who wakes makes the condition hold first and looks for Blocked then. So either
//! the sleeper sees its condition, or the waker sees Blocked and puts the thread in a queue. A sleeper
//! that saw its condition and finds itself woken, too, takes itself out of the queue again.
//!
//! **Context against the next CPU** (loom: `tests/loom_sched.rs`). A thread whose context is in a CPU
//! still, or just being saved (`on_cpu`), is queued there and nowhere else, and no other CPU takes it
//! from that queue; its CPU says so with release order when everything is saved, and who takes it
//! reads that with acquire order.
//!
//! **Work against the way back to user mode** (loom: `tests/loom_signals.rs`). Who has work for a thread
//! puts it where the thread will look, then requests return work, then wakes it; the thread takes the
//! request first and looks for all work there is then.

use crate::atomic::{barrier_next_to_atomic, AtomicBool, AtomicU32, AtomicU8, Ordering};

/// The state of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// On a CPU.
    Running,
    /// In a run queue.
    Runnable,
    /// Waits for [`RunState::wake`].
    Blocked,
    /// On its way to another CPU's queue.
    Moving,
    /// Has ended; its stack is freed by the next thread of the CPU.
    Dead,
}

/// See the module documentation.
pub struct RunState {
    state: AtomicU8,
    cpu: AtomicU32,
    on_cpu: AtomicBool,
    needs_return_work: AtomicBool,
}

impl RunState {
    /// A thread that runs nowhere yet: [`Self::wake`] lets it begin.
    #[must_use]
    pub fn new() -> Self {
        Self::of(State::Blocked, 0, false)
    }

    /// A thread that runs on `cpu` already.
    #[must_use]
    pub fn running_on(cpu: u32) -> Self {
        Self::of(State::Running, cpu, true)
    }

    fn of(state: State, cpu: u32, on_cpu: bool) -> Self {
        Self {
            state: AtomicU8::new(state as u8),
            cpu: AtomicU32::new(cpu),
            on_cpu: AtomicBool::new(on_cpu),
            needs_return_work: AtomicBool::new(false),
        }
    }

    /// The CPU it runs on, or ran on last.
    #[inline]
    pub fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Acquire)
    }

    /// It runs on `cpu` next. Only who has just made it runnable, or is about to queue it.
    #[inline]
    pub fn set_cpu(&self, cpu: u32) {
        self.cpu.store(cpu, Ordering::Release);
    }

    /// Whether its context is in a CPU, or still being saved.
    #[inline]
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu.load(Ordering::Acquire)
    }

    /// A CPU is about to switch to it.
    #[inline]
    pub fn enters_cpu(&self) {
        self.on_cpu.store(true, Ordering::Release);
    }

    /// Its context is saved, the CPU runs somebody else. Whether it was moving: then its CPU, which
    /// [`Self::cpu`] says, is to queue it.
    #[inline]
    pub fn has_left(&self) -> bool {
        self.on_cpu.store(false, Ordering::Release);
        self.change(State::Moving, State::Runnable)
    }

    /// Its state.
    #[inline]
    pub fn get(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            0 => State::Running,
            1 => State::Runnable,
            2 => State::Blocked,
            3 => State::Moving,
            _ => State::Dead,
        }
    }

    /// It is at `state` from now on. Only the thread itself, or the CPU that lets it run.
    #[inline]
    pub fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }

    /// From here on [`Self::wake`] counts. The thread looks at its condition next, then gives the CPU
    /// away or cancels.
    #[inline]
    pub fn prepare_to_block(&self) {
        self.set(State::Blocked);
        barrier_next_to_atomic();
    }

    /// The thread's condition held: it goes on. If somebody has woken it, it is in its CPU's queue, or
    /// on the way there: `take_out` takes it out, and says whether it was there already.
    #[inline]
    pub fn cancel_block(&self, mut take_out: impl FnMut() -> bool, mut relax: impl FnMut()) {
        if !self.change(State::Blocked, State::Running) {
            while !take_out() {
                relax();
            }
            self.set(State::Running);
        }
    }

    /// Makes it runnable if it is blocked: then the caller puts it in the queue of [`Self::cpu`], which
    /// `place` chooses if the context is in no CPU. Whether it was blocked.
    #[inline]
    pub fn wake(&self, place: impl FnOnce() -> u32) -> bool {
        barrier_next_to_atomic();
        let is_woken = self.change(State::Blocked, State::Runnable);
        if is_woken && !self.is_on_cpu() {
            self.set_cpu(place());
        }
        is_woken
    }

    /// Changes `from` to `to`; whether it was `from`.
    #[inline]
    fn change(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Asks it to look for work before it goes back to user mode. The caller then wakes it, or
    /// interrupts its CPU.
    #[inline]
    pub fn request_return_work(&self) {
        self.needs_return_work.store(true, Ordering::SeqCst);
    }

    /// Whether work waits.
    #[inline]
    pub fn needs_return_work(&self) -> bool {
        self.needs_return_work.load(Ordering::Acquire)
    }

    /// Takes the request; the caller then looks for all work there is.
    #[inline]
    pub fn take_return_work(&self) -> bool {
        self.needs_return_work.swap(false, Ordering::SeqCst)
    }
}

impl Default for RunState {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn nowhere() -> u32 {
        panic!("its context is in a CPU: it stays there")
    }

    #[test]
    fn a_new_thread_begins_when_it_is_woken() {
        let thread = RunState::new();
        assert!(thread.wake(|| 3));
        assert_eq!((thread.get(), thread.cpu()), (State::Runnable, 3));
    }

    /// try_to_wake_up: only who sleeps is woken, and once.
    #[test]
    fn who_does_not_sleep_is_not_woken() {
        for state in [State::Running, State::Runnable, State::Moving, State::Dead] {
            let thread = RunState::running_on(1);
            thread.set(state);
            assert!(!thread.wake(nowhere));
            assert_eq!(thread.get(), state);
        }
        let thread = RunState::new();
        assert!(thread.wake(|| 0) && !thread.wake(nowhere));
    }

    #[test]
    fn who_is_woken_while_its_context_is_in_a_cpu_stays_there() {
        let thread = RunState::running_on(2);
        thread.prepare_to_block();
        assert!(thread.wake(nowhere));
        assert_eq!(thread.cpu(), 2);
        assert!(!thread.has_left(), "it is no mover");
        assert_eq!(thread.get(), State::Runnable);
    }

    #[test]
    fn who_was_not_woken_cancels_without_a_look_at_the_queue() {
        let thread = RunState::running_on(0);
        thread.prepare_to_block();
        thread.cancel_block(
            || panic!("nobody queued it"),
            || panic!("nothing to wait for"),
        );
        assert_eq!(thread.get(), State::Running);
    }

    #[test]
    fn who_was_woken_waits_for_its_place_in_the_queue_to_give_it_up() {
        let thread = RunState::running_on(0);
        thread.prepare_to_block();
        assert!(thread.wake(nowhere));
        let (looks, waits) = (Cell::new(0), Cell::new(0));
        thread.cancel_block(
            || {
                looks.set(looks.get() + 1);
                looks.get() == 3
            },
            || waits.set(waits.get() + 1),
        );
        assert_eq!((looks.get(), waits.get()), (3, 2));
        assert_eq!(thread.get(), State::Running);
    }

    #[test]
    fn who_moves_is_runnable_when_its_cpu_has_left_it() {
        let thread = RunState::running_on(0);
        thread.set_cpu(1);
        thread.set(State::Moving);
        assert!(thread.is_on_cpu() && !thread.wake(nowhere));
        assert!(thread.has_left());
        assert!(!thread.is_on_cpu());
        assert_eq!((thread.get(), thread.cpu()), (State::Runnable, 1));
    }

    #[test]
    fn return_work_is_taken_once() {
        let thread = RunState::running_on(0);
        assert!(!thread.needs_return_work());
        thread.request_return_work();
        thread.request_return_work();
        assert!(thread.needs_return_work());
        assert!(thread.take_return_work() && !thread.take_return_work());
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wake,
        Prepare,
        Cancel,
        Yield,
        Leave,
        Run(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Wake),
            Just(Step::Prepare),
            Just(Step::Cancel),
            Just(Step::Yield),
            Just(Step::Leave),
            (0u32..4).prop_map(Step::Run),
        ]
    }

    proptest! {
        /// A thread is in a queue exactly while it is runnable, once, and never runs on two CPUs.
        #[test]
        fn a_thread_is_in_one_place(steps in proptest::collection::vec(step(), 0..60)) {
            let thread = RunState::new();
            let (mut queued, mut runs, mut in_cpu) = (0u32, false, false);
            for step in steps {
                match step {
                    Step::Wake => queued += u32::from(thread.wake(|| 7)),
                    Step::Prepare if runs && thread.get() == State::Running => thread.prepare_to_block(),
                    Step::Cancel if runs && queued <= 1 && thread.get() != State::Running => {
                        thread.cancel_block(
                            || {
                                queued -= 1;
                                true
                            },
                            || panic!("it is in the queue"),
                        );
                    }
                    Step::Yield if runs && thread.get() == State::Running => {
                        thread.set(State::Runnable);
                        queued += 1;
                    }
                    Step::Leave if runs && thread.get() != State::Running => {
                        runs = false;
                        in_cpu = false;
                        prop_assert!(!thread.has_left());
                    }
                    Step::Run(cpu) if queued == 1 && !runs => {
                        queued = 0;
                        (runs, in_cpu) = (true, true);
                        thread.set_cpu(cpu);
                        thread.set(State::Running);
                        thread.enters_cpu();
                    }
                    _ => {}
                }
                prop_assert_eq!(thread.is_on_cpu(), in_cpu);
                prop_assert_eq!(thread.get() == State::Runnable, queued == 1);
                prop_assert!(queued <= 1);
            }
        }
    }
}
