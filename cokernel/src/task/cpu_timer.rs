// SPDX-License-Identifier: GPL-2.0
//! Interval timers that run while the process does: ITIMER_VIRTUAL and ITIMER_PROF; and RLIMIT_CPU. The time a
//! thread is on a CPU counts for both; how much of it the co-kernel itself used is not known.
//!
//! Only CPUs that run a thread of a process with such a timer are interrupted for it. Lock order: the
//! timers after everything of the process; nothing is locked under them.

use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::signals::number::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};

use crate::arch;
use crate::sync::SpinLock;
use crate::task::process::Process;
use crate::task::signal::{self, Info};
use crate::task::thread::Thread;
use crate::task::{sched, timer};

/// `si_code` of signals the kernel sends.
const SI_KERNEL: i32 = 0x80;
/// CPU time is looked at no more often, ns.
const SHORTEST_NS: u64 = 1_000_000;
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
}

/// What is left of a timer of `process`.
pub fn get(process: &Process, which: Which) -> Setting {
    let now = process.cpu_ns();
    let timers = *process.cpu_timers.timers.lock();
    setting(&timers.intervals[which as usize], now)
}

/// Sets a timer of `process`, the current one; what it was.
pub fn set(process: &Process, which: Which, wanted: Setting) -> Setting {
    let now = process.cpu_ns();
    let before = process.cpu_timers.with(|timers| {
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
    });
    notice(process);
    before
}

/// RLIMIT_CPU of `process` is `wanted` from now on, soft and hard, in seconds.
pub fn limit(process: &Process, wanted: [u64; 2]) {
    let limit = Limit::of(wanted);
    process.cpu_timers.with(|timers| timers.limit = limit);
    notice(process);
}

/// Threads of `process` that run have their CPU interrupted in time from now on.
fn notice(process: &Process) {
    for thread in process.threads() {
        // Those that run elsewhere pass `before_return`.
        thread.request_return_work();
        sched::kick(&thread);
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

/// `thread` comes onto this CPU.
pub fn thread_comes(thread: &Thread) {
    let armed = |process: &Process| process.cpu_timers.armed.load(Ordering::Relaxed);
    if thread
        .process
        .as_ref()
        .is_some_and(|process| armed(process))
    {
        timer::look_after(SHORTEST_NS);
    }
}

/// Sends what is due to the current process and has this CPU interrupted again in time.
pub fn look() {
    let Some(process) = sched::try_current().and_then(|thread| thread.process.as_ref()) else {
        return;
    };
    if !process.cpu_timers.armed.load(Ordering::Relaxed) {
        return;
    }
    let now = process.cpu_ns();
    let (due, next) = strike(&process.cpu_timers, now);
    for signal in due.into_iter().flatten() {
        let info = Info {
            signal,
            errno: 0,
            code: SI_KERNEL,
            first: 0,
            second: 0,
        };
        signal::send_to_process(process, info);
    }
    if let Some(next) = next {
        // Other CPUs may run for the process, too.
        let share = next.saturating_sub(now) / u64::from(arch::cpu_count());
        timer::look_after(share.max(SHORTEST_NS));
    }
}

/// The signals that are due at `now`, and when the next one will be.
fn strike(timers: &CpuTimers, now: u64) -> ([Option<u32>; 3], Option<u64>) {
    timers.with(|timers| {
        let [virtual_, profiling] = &mut timers.intervals;
        let due = [
            virtual_.strike(now).then_some(SIGVTALRM),
            profiling.strike(now).then_some(SIGPROF),
            timers.limit.strike(now),
        ];
        (due, timers.next())
    })
}
