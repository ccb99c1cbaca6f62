// SPDX-License-Identifier: GPL-2.0
//! Interval timers. Real time runs on Linux, and its signal is sent on; CPU time is counted here.

use cokernel_logic::argument::{as_timeval, timeval};

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::cpu_limits;
use crate::task::cpu_timer::{Setting, Which};
use crate::task::current;
use crate::user_memory::{int, read_words, write_words};

const ITIMER_REAL: i32 = 0;
const ITIMER_VIRTUAL: i32 = 1;
const ITIMER_PROF: i32 = 2;

/// getitimer(2).
pub fn getitimer(frame: &mut UserFrame) -> SyscallResult {
    let [number, place, ..] = frame.args();
    let Some(which) = of_cpu_time(number)? else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    write(place, &cpu_limits::get(current::process(), which))
}

/// setitimer(2).
pub fn setitimer(frame: &mut UserFrame) -> SyscallResult {
    let [number, new, old, ..] = frame.args();
    let Some(which) = of_cpu_time(number)? else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    let wanted = match new {
        0 => Setting::default(),
        address => {
            let [interval_s, interval_us, left_s, left_us] = read_words(address)?;
            Setting {
                interval: timeval([interval_s, interval_us])?,
                left: timeval([left_s, left_us])?,
            }
        }
    };
    let before = cpu_limits::set(current::process(), which, wanted);
    if old == 0 {
        return Ok(0);
    }
    write(old, &before)
}

/// The timer of CPU time with that number; none if it is the one of real time.
fn of_cpu_time(number: u64) -> Result<Option<Which>, Errno> {
    match int(number) {
        ITIMER_REAL => Ok(None),
        ITIMER_VIRTUAL => Ok(Some(Which::Virtual)),
        ITIMER_PROF => Ok(Some(Which::Profiling)),
        _ => Err(Errno::EINVAL),
    }
}

fn write(place: u64, setting: &Setting) -> SyscallResult {
    let words = [setting.interval, setting.left].map(as_timeval);
    write_words(place, words.as_flattened())?;
    Ok(0)
}
