// SPDX-License-Identifier: GPL-2.0
//! Timers of CPU time and RLIMIT_CPU at work: set, looked at while threads run, and their signals sent.

use cokernel_logic::posix_timers::CpuClock;

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

/// The CPU time that `clock` of `process` says; `None` for a thread that is not there.
pub fn now(process: &Process, clock: CpuClock) -> Option<u64> {
    let CpuClock::Thread(tid) = clock else {
        return Some(process.cpu_ns());
    };
    let me = sched::current();
    if me.data.tid == tid {
        return Some(me.data.clock.ns());
    }
    let threads = process.threads();
    let thread = threads.iter().find(|thread| thread.data.tid == tid)?;
    Some(thread.data.clock.ns())
}

/// Sets timer `id` of timer_create(2), which counts `clock` of `process`, the current one; what it was.
pub fn set_posix(
    process: &Process,
    id: u32,
    clock: CpuClock,
    wanted: Setting,
    is_absolute: bool,
) -> Option<Setting> {
    let now = now(process, clock)?;
    let before = process.cpu_timers.set_posix(id, wanted, is_absolute, now);
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
    let Some(thread) = sched::try_current() else {
        return;
    };
    let Some(process) = &thread.process else {
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
    let posix = look_at(process, CpuClock::Process, now);
    let rest = [next, posix].into_iter().flatten().min();
    // Other CPUs may run for the process, too.
    let share = rest.map(|next| next.saturating_sub(now) / u64::from(arch::cpu_count()));
    let now = thread.data.clock.ns();
    let own = look_at(process, CpuClock::Thread(thread.data.tid), now);
    let rests = [share, own.map(|next| next.saturating_sub(now))];
    if let Some(rest) = rests.into_iter().flatten().min() {
        timer::look_after(rest.max(SHORTEST_NS));
    }
}

/// Sends what timers of timer_create(2) tell when `clock` says `now`; when the next one is due.
fn look_at(process: &Process, clock: CpuClock, now: u64) -> Option<u64> {
    let (due, next) = process.cpu_timers.strike_posix(clock, now);
    for info in due {
        signal::send::send_expiry(process, info);
    }
    next
}
