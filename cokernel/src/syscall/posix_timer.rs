// SPDX-License-Identifier: GPL-2.0
//! Timers of timer_create(2). Linux makes them, and runs those of its clocks; CPU time is counted here. Whom they
//! concern and how often they expired is kept here for all of them.

use cokernel_logic::argument::{as_timespec, timespec};
use cokernel_logic::posix_timers::{Notice, Target};
use cokernel_logic::signals::number::SIGALRM;
use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::cpu_limits;
use crate::syscall::times::cpu_clock;
use crate::task::cpu_timer::Setting;
use crate::task::current;
use crate::task::rlimits::SIGPENDING;
use crate::task::signal::send;
use crate::user_memory::{int, read_u32, read_words, uint, write_words};

const CLOCK_MONOTONIC: u64 = 1;
const SIGEV_NONE: u32 = 1;
const SIGEV_THREAD_ID: u32 = 4;
const TIMER_ABSTIME: u64 = 1;

/// timer_create(2).
pub fn timer_create(frame: &mut UserFrame) -> SyscallResult {
    let [clock, event, place, ..] = frame.args();
    let process = current::process();
    let most = process.limits.get(SIGPENDING)[0];
    if process.cpu_timers.posix_count() as u64 >= most {
        return Err(Errno::EAGAIN);
    }
    let counted = cpu_clock(int(clock));
    // One that is counted here has a place among Linux's, and never runs there.
    let linuxs = counted.map_or(clock, |_| CLOCK_MONOTONIC);
    let notice = notice(event)?;
    delegate::call_directly(number::timer_create, [linuxs, event, place, 0, 0, 0])?;
    let id = read_u32(place)?;
    let notice = notice.unwrap_or(Notice {
        target: Target::Process,
        signal: SIGALRM,
        value: u64::from(id),
    });
    process.cpu_timers.create(id, notice, counted);
    Ok(0)
}

/// What the `struct sigevent` at `event` says, as far as Linux accepts it; `None` if there is none.
fn notice(event: u64) -> Result<Option<Notice>, Errno> {
    if event == 0 {
        return Ok(None);
    }
    let [value, kind, tid] = read_words(event)?;
    let (signal, kind) = (uint(kind), uint(kind >> 32));
    let target = match kind {
        SIGEV_NONE => Target::Nobody,
        SIGEV_THREAD_ID => Target::Thread(int(tid)),
        _ => Target::Process,
    };
    Ok(Some(Notice {
        target,
        signal,
        value,
    }))
}

/// timer_settime(2).
pub fn timer_settime(frame: &mut UserFrame) -> SyscallResult {
    let [id, flags, new, old, ..] = frame.args();
    let process = current::process();
    let Some(clock) = process.cpu_timers.clock(uint(id)) else {
        delegate::call_directly(number::timer_settime, frame.args())?;
        process.cpu_timers.set_overrun(uint(id), 0);
        send::forget_expiry(process, uint(id));
        return Ok(0);
    };
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let [interval_s, interval_ns, left_s, left_ns] = read_words(new)?;
    let wanted = Setting {
        interval: timespec([interval_s, interval_ns])?,
        left: timespec([left_s, left_ns])?,
    };
    let is_absolute = flags & TIMER_ABSTIME != 0;
    let before = cpu_limits::set_posix(process, uint(id), clock, wanted, is_absolute);
    send::forget_expiry(process, uint(id));
    if old == 0 {
        return Ok(0);
    }
    write(old, &before.ok_or(Errno::EINVAL)?)
}

/// timer_gettime(2).
pub fn timer_gettime(frame: &mut UserFrame) -> SyscallResult {
    let [id, place, ..] = frame.args();
    let process = current::process();
    let Some(clock) = process.cpu_timers.clock(uint(id)) else {
        return delegate::call_directly(number::timer_gettime, frame.args());
    };
    let now = cpu_limits::now(process, clock).unwrap_or(0);
    let setting = process.cpu_timers.get_posix(uint(id), now);
    write(place, &setting.ok_or(Errno::EINVAL)?)
}

/// timer_getoverrun(2).
pub fn timer_getoverrun(frame: &mut UserFrame) -> SyscallResult {
    let [id, ..] = frame.args();
    // Linux knows whether there is such a timer, and what was taken from it.
    let linuxs = delegate::call_directly(number::timer_getoverrun, frame.args())?;
    let ours = current::process().cpu_timers.overrun(uint(id));
    Ok(ours.map_or(linuxs, u64::from))
}

/// timer_delete(2).
pub fn timer_delete(frame: &mut UserFrame) -> SyscallResult {
    let [id, ..] = frame.args();
    delegate::call_directly(number::timer_delete, frame.args())?;
    let process = current::process();
    process.cpu_timers.delete(uint(id));
    send::forget_expiry(process, uint(id));
    Ok(0)
}

fn write(place: u64, setting: &Setting) -> SyscallResult {
    let words = [setting.interval, setting.left].map(as_timespec);
    write_words(place, words.as_flattened())?;
    Ok(0)
}
