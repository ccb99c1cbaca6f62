// SPDX-License-Identifier: GPL-2.0
//! Interval timers that run while the process does: ITIMER_VIRTUAL and ITIMER_PROF. The time a
//! thread is on a CPU counts for both; how much of it the co-kernel itself used is not known.
//!
//! Only CPUs that run a thread of a process with such a timer are interrupted for it. Lock order: the
//! timers after everything of the process; nothing is locked under them.

use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::signals::number::{SIGPROF, SIGVTALRM};

use crate::arch::{self, timer};
use crate::sync::SpinLock;
use crate::task::process::Process;
use crate::task::signal::{self, Info};
use crate::task::{sched, thread::Thread};

/// `si_code` of signals the kernel sends.
const SI_KERNEL: i32 = 0x80;
/// CPU time is looked at no more often, ns.
const SHORTEST_NS: u64 = 1_000_000;

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

/// The timers of a process.
#[derive(Default)]
pub struct CpuTimers {
    timers: SpinLock<[Timer; 2]>,
    armed: AtomicBool,
}

/// What is left of a timer of `process`.
pub fn get(process: &Process, which: Which) -> Setting {
    let now = process.cpu_ns();
    setting(&process.cpu_timers.timers.lock()[which as usize], now)
}

/// Sets a timer of `process`, the current one; what it was.
pub fn set(process: &Process, which: Which, wanted: Setting) -> Setting {
    let now = process.cpu_ns();
    let before = {
        let mut timers = process.cpu_timers.timers.lock();
        let timer = &mut timers[which as usize];
        let before = setting(timer, now);
        *timer = Timer {
            interval: wanted.interval,
            end: match wanted.left {
                0 => 0,
                left => now.saturating_add(left),
            },
        };
        let armed = timers.iter().any(|timer| timer.end != 0);
        process.cpu_timers.armed.store(armed, Ordering::SeqCst);
        before
    };
    for thread in process.threads() {
        // Those that run elsewhere pass `before_return`.
        thread.request_return_work();
        sched::kick(&thread);
    }
    before
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
    for (signal, due) in [SIGVTALRM, SIGPROF].into_iter().zip(due) {
        if due {
            let info = Info {
                signal,
                code: SI_KERNEL,
                first: 0,
                second: 0,
            };
            signal::send_to_process(process, info);
        }
    }
    if let Some(next) = next {
        // Other CPUs may run for the process, too.
        let share = next.saturating_sub(now) / u64::from(arch::cpu_count());
        timer::look_after(share.max(SHORTEST_NS));
    }
}

/// Which timers are due at `now`, and when the next one will be.
fn strike(timers: &CpuTimers, now: u64) -> ([bool; 2], Option<u64>) {
    let mut all = timers.timers.lock();
    let mut due = [false; 2];
    for (timer, due) in all.iter_mut().zip(&mut due) {
        *due = timer.end != 0 && timer.end <= now;
        if *due {
            timer.end = match timer.interval {
                0 => 0,
                interval => now.saturating_add(interval),
            };
        }
    }
    let ends = all.iter().map(|timer| timer.end).filter(|end| *end != 0);
    let next = ends.min();
    timers.armed.store(next.is_some(), Ordering::SeqCst);
    (due, next)
}
