// SPDX-License-Identifier: GPL-2.0
//! Timers of CPU time and RLIMIT_CPU at work: set, looked at while threads run, and their signals sent.

use crate::arch;
use crate::task::cpu_timer::{Setting, Which, SHORTEST_NS};
use crate::task::process::Process;
use crate::task::signal::{self, Info, SI_KERNEL};
use crate::task::{sched, timer};

/// The rest of a timer of `process`.
pub fn get(process: &Process, which: Which) -> Setting {
    process.cpu_timers.get(which, process.cpu_ns())
}

/// Sets a timer of `process`, the current one; what it was.
pub fn set(process: &Process, which: Which, wanted: Setting) -> Setting {
    let before = process.cpu_timers.set(which, wanted, process.cpu_ns());
    notice(process);
    before
}

/// RLIMIT_CPU of `process` is `wanted` from now on, soft and hard, in seconds.
pub fn limit(process: &Process, wanted: [u64; 2]) {
    process.cpu_timers.limit(wanted);
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

/// Sends what is due to the current process and has this CPU interrupted again in time.
pub fn look() {
    let Some(process) = sched::try_current().and_then(|thread| thread.process.as_ref()) else {
        return;
    };
    if !process.cpu_timers.are_armed() {
        return;
    }
    let now = process.cpu_ns();
    let (due, next) = process.cpu_timers.strike(now);
    for signal in due.into_iter().flatten() {
        let info = Info {
            signal,
            errno: 0,
            code: SI_KERNEL,
            first: 0,
            second: 0,
        };
        signal::send::send_to_process(process, info);
    }
    if let Some(next) = next {
        // Other CPUs may run for the process, too.
        let share = next.saturating_sub(now) / u64::from(arch::cpu_count());
        timer::look_after(share.max(SHORTEST_NS));
    }
}
