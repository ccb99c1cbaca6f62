// SPDX-License-Identifier: GPL-2.0
//! nanosleep and clock_nanosleep: here, where the thread's core can do something else meanwhile and
//! no worker is kept waiting.

use cokernel_logic::argument::{as_timespec, timespec};
use cokernel_logic::posix_timers::{CpuClock, Notice, Target};

use crate::arch::{time, UserFrame};
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::cpu_limits;
use crate::syscall::times::cpu_clock;
use crate::task::cpu_timer::Setting;
use crate::task::{current, sched};
use crate::user_memory::{int, read_words, uint, write_words};

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
const CLOCK_BOOTTIME: i32 = 7;
const TIMER_ABSTIME: u32 = 1;
/// The timer of thread n that sleeps has this number and n; Linux gives none so high.
const SLEEPERS: u32 = 1 << 31;

/// nanosleep(2).
pub fn nanosleep(frame: &mut UserFrame) -> SyscallResult {
    let [wanted, rest, ..] = frame.args();
    relative(wanted, rest)
}

/// clock_nanosleep(2). A time of a clock that Linux may set, or that does not run on here, is
/// waited for by Linux.
pub fn clock_nanosleep(frame: &mut UserFrame) -> SyscallResult {
    let [clock, flags, wanted, rest, ..] = frame.args();
    match (int(clock), uint(flags) & TIMER_ABSTIME) {
        (CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME, 0) => relative(wanted, rest),
        (CLOCK_MONOTONIC, _) => sleep_until(duration(wanted)?).map_err(|()| Errno::ERESTARTNOHAND),
        // Linux has no sleep on this one, but on the same clock by its other number.
        (CLOCK_THREAD_CPUTIME_ID, _) => delegate::call_directly(frame.number(), frame.args()),
        (id, is_absolute) => match cpu_clock(id) {
            Some(clock) => on_cpu_time(clock, is_absolute != 0, wanted, rest),
            None => delegate::call_directly(frame.number(), frame.args()),
        },
    }
}

/// Sleeps until `clock` has advanced by the `struct timespec` at `wanted`, or says what that says.
fn on_cpu_time(clock: CpuClock, is_absolute: bool, wanted: u64, rest: u64) -> SyscallResult {
    let process = current::process();
    let tid = sched::current().data.tid;
    let now = || cpu_limits::now(process, clock).unwrap_or(u64::MAX);
    let wanted = duration(wanted)?;
    if clock == CpuClock::Thread(tid) {
        return Err(Errno::EINVAL);
    }
    let end = if is_absolute {
        wanted
    } else {
        now().saturating_add(wanted)
    };
    let notice = Notice {
        target: Target::Sleeper(tid),
        signal: 0,
        value: 0,
    };
    let id = SLEEPERS | uint(tid.unsigned_abs().into());
    process.cpu_timers.create(id, notice, Some(clock));
    let setting = Setting {
        interval: 0,
        left: end,
    };
    cpu_limits::set_posix(process, id, clock, setting, true);
    let slept = sleep_while(|| now() < end, None);
    process.cpu_timers.delete(id);
    slept.map_err(|()| {
        if is_absolute {
            return Errno::ERESTARTNOHAND;
        }
        interrupted(end.saturating_sub(now()), rest)
    })
}

/// Sleeps for the `struct timespec` at `wanted`; what is left when a signal comes goes to `rest`.
fn relative(wanted: u64, rest: u64) -> SyscallResult {
    let end = time::now_ns().saturating_add(duration(wanted)?);
    sleep_until(end).map_err(|()| interrupted(end.saturating_sub(time::now_ns()), rest))
}

/// A signal has ended a sleep of which `left` ns are left; that goes to `rest`.
fn interrupted(left: u64, rest: u64) -> Errno {
    if rest != 0 && write_words(rest, &as_timespec(left)).is_err() {
        return Errno::EFAULT;
    }
    Errno::EINTR
}

fn duration(address: u64) -> Result<u64, Errno> {
    timespec(read_words(address)?)
}

/// Sleeps until CLOCK_MONOTONIC reaches `end_ns`.
///
/// # Errors
///
/// A signal came, or the process ends.
fn sleep_until(end_ns: u64) -> Result<u64, ()> {
    sleep_while(|| time::now_ns() < end_ns, Some(end_ns))
}

/// Sleeps while `goes_on`, and until woken: at CLOCK_MONOTONIC `end_ns`, or by who makes it end.
///
/// # Errors
///
/// A signal came, or the process ends.
fn sleep_while(goes_on: impl Fn() -> bool, end_ns: Option<u64>) -> Result<u64, ()> {
    let thread = sched::current();
    let process = current::process();
    loop {
        sched::prepare_to_block();
        if process.is_dying() || thread.data.signals.has_deliverable(&process.signals) {
            sched::cancel_block();
            thread.request_return_work();
            return Err(());
        }
        if !goes_on() {
            sched::cancel_block();
            return Ok(0);
        }
        sched::block_prepared(end_ns);
    }
}
