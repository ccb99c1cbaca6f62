// SPDX-License-Identifier: GPL-2.0
//! Interval timers that run while the process does: ITIMER_VIRTUAL and ITIMER_PROF; and RLIMIT_CPU. The time a
//! thread is on a CPU counts for both; how much of it the co-kernel itself used is not known.
//!
//! Only CPUs that run a thread of a process with such a timer are interrupted for it. Lock order: the
//! timers after everything of the process; nothing is locked under them.

use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::signals::number::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};

use crate::sync::SpinLock;

/// CPU time is looked at no more often, ns.
pub const SHORTEST_NS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
/// Later than any CPU time.
const NEVER: u64 = u64::MAX;

/// Which clock, in the order of their numbers on Linux (minus one).
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// ITIMER_VIRTUAL.
    Virtual,
    /// ITIMER_PROF.
    Profiling,
}

/// Times of a timer, ns.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// From one signal to the next; 0 = there is no next.
    pub interval: u64,
    /// Until the next signal; 0 = off.
    pub left: u64,
}

#[derive(Clone, Copy, Default)]
struct Timer {
    interval: u64,
    /// CPU time of the process at which it strikes; 0 = off.
    end: u64,
}

impl Timer {
    /// Whether it is due at `now`; then it begins anew.
    fn strike(&mut self, now: u64) -> bool {
        let due = self.end != 0 && self.end <= now;
        if due {
            self.end = match self.interval {
                0 => 0,
                interval => now.saturating_add(interval),
            };
        }
        due
    }
}

/// RLIMIT_CPU, as CPU time of the process in ns; [`NEVER`]: no limit.
#[derive(Clone, Copy)]
struct Limit {
    /// SIGXCPU comes, and again each second.
    soft: u64,
    /// SIGKILL comes.
    hard: u64,
}

#[derive(Clone, Copy)]
struct Timers {
    /// By [`Which`].
    intervals: [Timer; 2],
    limit: Limit,
}

/// The timers of a process.
pub struct CpuTimers {
    timers: SpinLock<Timers>,
    armed: AtomicBool,
}

impl Limit {
    fn of([soft, hard]: [u64; 2]) -> Self {
        // Linux ends a process whose limit is 0 as if it was one second.
        let ns = |seconds: u64| seconds.max(1).saturating_mul(NS_PER_S);
        Self {
            soft: ns(soft),
            hard: ns(hard),
        }
    }

    /// The signal that is due at `now`.
    fn strike(&mut self, now: u64) -> Option<u32> {
        if now >= self.hard {
            return Some(SIGKILL);
        }
        (now >= self.soft).then(|| {
            self.soft = self.soft.saturating_add(NS_PER_S);
            SIGXCPU
        })
    }
}

impl Timers {
    /// CPU time at which something is due.
    fn next(&self) -> Option<u64> {
        let ends = self.intervals.iter().map(|timer| timer.end);
        let limits = [self.limit.soft, self.limit.hard];
        ends.filter(|end| *end != 0)
            .chain(limits.into_iter().filter(|end| *end != NEVER))
            .min()
    }
}

impl CpuTimers {
    /// No timer; RLIMIT_CPU is `limit`, soft and hard, in seconds.
    pub fn limited(limit: [u64; 2]) -> Self {
        let timers = Timers {
            intervals: Default::default(),
            limit: Limit::of(limit),
        };
        Self {
            armed: AtomicBool::new(timers.next().is_some()),
            timers: SpinLock::new(timers),
        }
    }

    /// Changes the timers; what `change` says.
    fn with<T>(&self, change: impl FnOnce(&mut Timers) -> T) -> T {
        let mut timers = self.timers.lock();
        let result = change(&mut timers);
        self.armed.store(timers.next().is_some(), Ordering::SeqCst);
        result
    }

    /// Whether anything is to be looked at. A hint.
    pub fn are_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// What is left of a timer when the process has run for `now` ns.
    pub fn get(&self, which: Which, now: u64) -> Setting {
        let timers = *self.timers.lock();
        setting(&timers.intervals[which as usize], now)
    }

    /// Sets a timer when the process has run for `now` ns; what it was.
    pub fn set(&self, which: Which, wanted: Setting, now: u64) -> Setting {
        self.with(|timers| {
            let timer = &mut timers.intervals[which as usize];
            let before = setting(timer, now);
            *timer = Timer {
                interval: wanted.interval,
                end: match wanted.left {
                    0 => 0,
                    left => now.saturating_add(left),
                },
            };
            before
        })
    }

    /// RLIMIT_CPU is `wanted` from now on, soft and hard, in seconds.
    pub fn limit(&self, wanted: [u64; 2]) {
        let limit = Limit::of(wanted);
        self.with(|timers| timers.limit = limit);
    }

    /// The signals that are due at `now`, and when the next one will be.
    pub fn strike(&self, now: u64) -> ([Option<u32>; 3], Option<u64>) {
        self.with(|timers| {
            let [virtual_, profiling] = &mut timers.intervals;
            let due = [
                virtual_.strike(now).then_some(SIGVTALRM),
                profiling.strike(now).then_some(SIGPROF),
                timers.limit.strike(now),
            ];
            (due, timers.next())
        })
    }
}

fn setting(timer: &Timer, now: u64) -> Setting {
    Setting {
        interval: timer.interval,
        left: match timer.end {
            0 => 0,
            end => end.saturating_sub(now).max(1),
        },
    }
}
