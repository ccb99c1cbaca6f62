// SPDX-License-Identifier: GPL-2.0
//! nanosleep and clock_nanosleep: here, where the thread's core can do something else meanwhile and
//! no worker is kept waiting.

use cokernel_logic::argument::{timespec, NS_PER_S};

use crate::arch::{time, UserFrame};
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::task::{current, sched};
use crate::user_memory::{int, read_words, uint, write_words};

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_BOOTTIME: i32 = 7;
const TIMER_ABSTIME: u32 = 1;

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
        _ => delegate::call_directly(frame.number(), frame.args()),
    }
}

/// Sleeps for the `struct timespec` at `wanted`; what is left when a signal comes goes to `rest`.
fn relative(wanted: u64, rest: u64) -> SyscallResult {
    let end = time::now_ns().saturating_add(duration(wanted)?);
    sleep_until(end).map_err(|()| {
        let left = end.saturating_sub(time::now_ns());
        if rest != 0 && write_words(rest, &[left / NS_PER_S, left % NS_PER_S]).is_err() {
            return Errno::EFAULT;
        }
        Errno::EINTR
    })
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
    let thread = sched::current();
    let process = current::process();
    loop {
        sched::prepare_to_block();
        if process.is_dying() || thread.data.signals.has_deliverable(&process.signals) {
            sched::cancel_block();
            thread.request_return_work();
            return Err(());
        }
        if time::now_ns() >= end_ns {
            sched::cancel_block();
            return Ok(0);
        }
        sched::block_prepared(Some(end_ns));
    }
}
