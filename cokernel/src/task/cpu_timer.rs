// SPDX-License-Identifier: GPL-2.0
//! Interval timers that run while the process does: ITIMER_VIRTUAL and ITIMER_PROF; and RLIMIT_CPU. The time a
//! thread is on a CPU counts for both; how much of it the co-kernel itself used is not known.
//!
//! Only CPUs that run a thread of a process with such a timer are interrupted for it. Lock order: the
//! timers after everything of the process; nothing is locked under them.

use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::cpu_timers;
pub use cokernel_logic::cpu_timers::{Setting, Which};

use crate::sync::SpinLock;

/// CPU time is looked at no more often, ns.
pub const SHORTEST_NS: u64 = 1_000_000;

/// The timers of a process.
pub struct CpuTimers {
    timers: SpinLock<cpu_timers::CpuTimers>,
    armed: AtomicBool,
}

impl CpuTimers {
    /// No timer; RLIMIT_CPU is `limit`, soft and hard, in seconds.
    pub fn limited(limit: [u64; 2]) -> Self {
        let timers = cpu_timers::CpuTimers::limited(limit);
        Self {
            armed: AtomicBool::new(timers.next().is_some()),
            timers: SpinLock::new(timers),
        }
    }

    /// Changes the timers; what `change` says.
    fn with<T>(&self, change: impl FnOnce(&mut cpu_timers::CpuTimers) -> T) -> T {
        let mut timers = self.timers.lock();
        let result = change(&mut timers);
        self.armed.store(timers.next().is_some(), Ordering::SeqCst);
        result
    }

    /// Whether anything is to be looked at. A hint.
    pub fn are_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// The rest of a timer when the process has run for `now` ns.
    pub fn get(&self, which: Which, now: u64) -> Setting {
        self.timers.lock().get(which, now)
    }

    /// Sets a timer when the process has run for `now` ns; what it was.
    pub fn set(&self, which: Which, wanted: Setting, now: u64) -> Setting {
        self.with(|timers| timers.set(which, wanted, now))
    }

    /// RLIMIT_CPU is `wanted` from now on, soft and hard, in seconds.
    pub fn limit(&self, wanted: [u64; 2]) {
        self.with(|timers| timers.limit(wanted));
    }

    /// The signals that are due at `now`, and when the next one will be.
    pub fn strike(&self, now: u64) -> ([Option<u32>; 3], Option<u64>) {
        self.with(|timers| timers.strike(now))
    }
}
