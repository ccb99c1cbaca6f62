// SPDX-License-Identifier: GPL-2.0
//! Timers that run while the process does: ITIMER_VIRTUAL and ITIMER_PROF, those of timer_create(2); and RLIMIT_CPU. The time a
//! thread is on a CPU counts for both; how much of it the co-kernel itself used is not known.
//!
//! Only CPUs that run a thread of a process with such a timer are interrupted for it. Lock order: the
//! timers after everything of the process; nothing but the heap is locked under them.

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::vec::Vec;

use cokernel_logic::cpu_timers;
pub use cokernel_logic::cpu_timers::{Setting, Which};
use cokernel_logic::posix_timers::{CpuClock, Notice, PosixTimers, Target};

use crate::sync::SpinLock;
use crate::task::signal::Info;

/// CPU time is looked at no more often, ns.
pub const SHORTEST_NS: u64 = 1_000_000;

/// The timers of a process, and what is known of those that Linux runs.
pub struct CpuTimers {
    timers: SpinLock<Timers>,
    armed: AtomicBool,
}

struct Timers {
    intervals: cpu_timers::CpuTimers,
    posix: PosixTimers,
}

impl Timers {
    fn are_armed(&self) -> bool {
        self.intervals.next().is_some() || self.posix.is_armed()
    }
}

impl CpuTimers {
    /// No timer; RLIMIT_CPU is `limit`, soft and hard, in seconds.
    pub fn limited(limit: [u64; 2]) -> Self {
        let timers = Timers {
            intervals: cpu_timers::CpuTimers::limited(limit),
            posix: PosixTimers::new(),
        };
        Self {
            armed: AtomicBool::new(timers.are_armed()),
            timers: SpinLock::new(timers),
        }
    }

    /// Changes the timers; what `change` says.
    fn with<T>(&self, change: impl FnOnce(&mut Timers) -> T) -> T {
        let mut timers = self.timers.lock();
        let result = change(&mut timers);
        self.armed.store(timers.are_armed(), Ordering::SeqCst);
        result
    }

    /// Whether anything is to be looked at. A hint.
    pub fn are_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// The rest of a timer when the process has run for `now` ns.
    pub fn get(&self, which: Which, now: u64) -> Setting {
        self.timers.lock().intervals.get(which, now)
    }

    /// Sets a timer when the process has run for `now` ns; what it was.
    pub fn set(&self, which: Which, wanted: Setting, now: u64) -> Setting {
        self.with(|timers| timers.intervals.set(which, wanted, now))
    }

    /// RLIMIT_CPU is `wanted` from now on, soft and hard, in seconds.
    pub fn limit(&self, wanted: [u64; 2]) {
        self.with(|timers| timers.intervals.limit(wanted));
    }

    /// The signals that are due at `now`, and when the next one will be.
    pub fn strike(&self, now: u64) -> ([Option<u32>; 3], Option<u64>) {
        self.with(|timers| timers.intervals.strike(now))
    }

    /// Linux has made timer `id`; with `clock` it is counted here.
    pub fn create(&self, id: u32, notice: Notice, clock: Option<CpuClock>) {
        self.with(|timers| timers.posix.create(id, notice, clock));
    }

    /// Timer `id` is no more.
    pub fn delete(&self, id: u32) {
        self.with(|timers| timers.posix.delete(id));
    }

    /// The number of timers that Linux has made.
    pub fn posix_count(&self) -> usize {
        self.timers.lock().posix.count()
    }

    /// The clock of timer `id`, if it is counted here.
    pub fn clock(&self, id: u32) -> Option<CpuClock> {
        self.timers.lock().posix.clock(id)
    }

    /// Whom an expiry of timer `id` concerns, if there is such a timer.
    pub fn target(&self, id: u32) -> Option<Target> {
        self.timers.lock().posix.target(id)
    }

    /// The overruns that the last signal of timer `id` told of, if there is such a timer.
    pub fn overrun(&self, id: u32) -> Option<u32> {
        self.timers.lock().posix.overrun(id)
    }

    /// Sets the overruns that the last signal of timer `id` told of.
    pub fn set_overrun(&self, id: u32, overrun: u32) {
        self.timers.lock().posix.set_overrun(id, overrun);
    }

    /// A signal has been taken, perhaps that of a timer.
    pub fn note_taken(&self, info: &Info) {
        if let Some((id, overrun)) = info.timer() {
            self.set_overrun(id, overrun);
        }
    }

    /// The rest of timer `id`, which is counted here, when its clock says `now`.
    pub fn get_posix(&self, id: u32, now: u64) -> Option<Setting> {
        self.timers.lock().posix.get(id, now)
    }

    /// Sets timer `id`, see [`PosixTimers::set`].
    pub fn set_posix(
        &self,
        id: u32,
        wanted: Setting,
        is_absolute: bool,
        now: u64,
    ) -> Option<Setting> {
        self.with(|timers| timers.posix.set(id, wanted, is_absolute, now))
    }

    /// What those of timer_create(2) tell that have expired when `clock` says `now`, and when the next one will.
    pub fn strike_posix(&self, clock: CpuClock, now: u64) -> (Vec<Info>, Option<u64>) {
        self.with(|timers| {
            let due = timers.posix.strike(clock, now);
            (due, timers.posix.next(clock))
        })
    }
}
