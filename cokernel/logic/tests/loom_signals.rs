// SPDX-License-Identifier: GPL-2.0
//! Models of signals: one that comes while a thread is about to block ends the block, and one of a process
//! finds the thread that unblocks it. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use cokernel_logic::pending::Info;
use cokernel_logic::run_state::{RunState, State};
use cokernel_logic::signal_room::Room;
use cokernel_logic::signal_state::{Own, ProcessSignals, Shared, ThreadSignals};
use cokernel_logic::signals::SignalSet;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

const SIGNAL: u32 = 10;

/// Room for more signals than a model sends.
fn room() -> Room {
    Room {
        account: std::sync::Arc::default(),
        limit: u64::MAX,
    }
}

/// A process with one thread, which runs on a CPU of its own.
struct Program {
    process: ProcessSignals<Mutex<Shared>>,
    thread: ThreadSignals<Mutex<Own>>,
    run: RunState,
    /// The CPU's queue: whether the thread is in it.
    queued: Mutex<bool>,
    came: Condvar,
}

impl Program {
    fn new(mask: SignalSet) -> Arc<Self> {
        Arc::new(Self {
            process: ProcessSignals::new(SignalSet::EMPTY),
            thread: ThreadSignals::new(mask),
            run: RunState::running_on(0),
            queued: Mutex::new(false),
            came: Condvar::new(),
        })
    }

    /// As `send::alert`.
    fn alert(&self) {
        self.run.request_return_work();
        if self.run.wake(|| 0) {
            *self.queued.lock().unwrap() = true;
            self.came.notify_one();
        }
    }

    fn takes_itself_out(&self) -> bool {
        std::mem::take(&mut *self.queued.lock().unwrap())
    }

    /// As `sigmask::wait_for_signal`: blocks until a signal is to be delivered.
    fn wait_for_signal(&self) {
        loop {
            self.run.prepare_to_block();
            if self.thread.has_deliverable(&self.process) {
                self.run
                    .cancel_block(|| self.takes_itself_out(), thread::yield_now);
                return;
            }
            let mut queued = self.queued.lock().unwrap();
            while !*queued {
                queued = self.came.wait(queued).unwrap();
            }
            *queued = false;
            self.run.set(State::Running);
        }
    }

    /// As the way back to user mode: all work there is.
    fn delivers(&self) -> Option<u32> {
        self.run.take_return_work();
        self.thread.take(&self.process).map(|info| info.signal)
    }
}

fn info() -> Info {
    Info {
        signal: SIGNAL,
        ..Info::default()
    }
}

/// A signal of the thread against sigsuspend, pause or any call that blocks.
#[test]
fn a_signal_ends_a_call_that_is_about_to_block() {
    loom::model(|| {
        let program = Program::new(SignalSet::EMPTY);
        let sender = {
            let program = program.clone();
            thread::spawn(move || {
                assert!(program.thread.add(info(), &room()));
                program.alert();
            })
        };
        program.wait_for_signal();
        assert_eq!(program.delivers(), Some(SIGNAL));
        sender.join().unwrap();
        assert!(!program.takes_itself_out(), "nobody else is woken for it");
    });
}

/// A signal of the process: the sender looks for a thread that takes it while the only one unblocks it.
/// Whoever is later sees the other.
#[test]
fn a_signal_finds_the_thread_that_unblocks_it() {
    loom::model(|| {
        let program = Program::new(SignalSet::of(SIGNAL));
        let sender = {
            let program = program.clone();
            thread::spawn(move || {
                assert!(program.process.add(info(), &room()));
                if program.thread.accepts(SIGNAL) {
                    program.alert();
                }
            })
        };
        program.thread.set_mask(SignalSet::EMPTY);
        program.wait_for_signal();
        assert_eq!(program.delivers(), Some(SIGNAL));
        sender.join().unwrap();
    });
}

/// A request for return work that comes while the thread takes one is not lost: the work is found now, or
/// the request is there still.
#[test]
fn work_on_the_way_to_user_mode_is_found_now_or_next_time() {
    loom::model(|| {
        let program = Program::new(SignalSet::EMPTY);
        program.run.request_return_work();
        let sender = {
            let program = program.clone();
            thread::spawn(move || {
                assert!(program.thread.add(info(), &room()));
                program.run.request_return_work();
            })
        };
        let found = program.delivers();
        sender.join().unwrap();
        assert!(found.is_some() || program.run.needs_return_work());
    });
}
