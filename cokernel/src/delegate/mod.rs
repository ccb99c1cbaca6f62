// SPDX-License-Identifier: GPL-2.0
//! Delegation of system calls and operations: post the request into the thread's slot, wait for the
//! answer. Hops 3 and 9 of a delegated call.
//!
//! The worker on Linux performs the call; pointers mean the same there. While it waits, the thread
//! polls, as long as nobody else wants its CPU, and serves Linux: the worker may just be touching
//! a page that this very CPU has to provide. If the wait is long, it clears free memory meanwhile.

pub mod bounce;
pub mod pool;

use core::sync::atomic::Ordering;

use ihk_ikc::layout::MAX_LINUX_CPUS;
use ihk_ikc::packet::ToLinux;
use ihk_ikc::process::op;
use ihk_ikc::slot::{DelegationSlot, Request, SlotError, Wake};

use crate::arch::{self, relax, time};
use crate::errno::{Errno, SyscallResult};
use crate::frames::prezero;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::Thread;
use crate::{ikc, kargs, klog};

const SIGKILL: u64 = 9;
/// PAUSEs for which only the slot is looked at, before clocks, rings and run queues are, too.
const GLANCE: u32 = 4;
/// The same for the first look, if the worker was up: a short call is done by then, a microsecond, and
/// has cost the program nothing of its caches for clocks, rings and run queues.
const FIRST_GLANCE: u32 = 16;
/// Looks at the slot per PAUSE. Until the worker answers nobody else writes to the line, so a look costs
/// no more than a hit in the cache; a PAUSE costs 40 to 150 cycles, in which the answer may come, and
/// where it leaves the guest it holds up the very worker that is waited for.
const LOOKS: u32 = 16;
/// The duration of a quick call, µs.
const QUICK_US: u64 = 10;
/// Frames that a waiting thread clears between two looks, in less than a microsecond.
const FRAMES_AT_A_TIME: u32 = 1;
/// The number of times that a question is asked; the worker is awake from the first time on.
const ASK_TRIES: u32 = 16;

/// The door of system calls that the table delegates as they are: has the current thread's worker perform
/// `number` and returns what it returned, as [`call_directly`] does, by which all other calls go. The
/// data of some calls travel through the bounce page.
pub fn call(number: u64, args: [u64; 6]) -> SyscallResult {
    bounce::try_call(number, args).unwrap_or_else(|| call_directly(number, args))
}

/// Has the current thread's worker perform `number` with just these arguments and returns what it
/// returned.
///
/// # Errors
///
/// The worker's; `EINTR` if the process is being killed: the thread then ends on its way back to user mode.
pub fn call_directly(number: u64, args: [u64; 6]) -> SyscallResult {
    let thread = sched::current();
    let Some(process) = &thread.process else {
        return Err(Errno::ENOSYS);
    };
    if process.is_dying() {
        return Err(Errno::EINTR);
    }
    let slot = process.slots.slot(thread.slot);
    let shown = &thread.data.shown;
    shown.publish_mask(slot, thread.data.signals.mask());
    shown.publish_server(slot, arch::this_cpu().server());
    let posted = post(process, thread.slot, slot, &Request { number, args });
    let answer = posted.and_then(|wake| {
        if let Some(result) = glance(slot, first_glance(number, wake))? {
            return Ok(result);
        }
        wait(thread, process, slot, wake)
    });
    answer.unwrap_or_else(|error| disown(process, thread.slot, error))
}

/// As [`call_directly`], for a system call that never waits: one that a signal kept from beginning
/// is tried again, as the program did not make it and cannot begin it anew.
///
/// # Errors
///
/// The worker's; `EINTR` if signals keep it from beginning, or the process is being killed.
pub fn ask(number: u64, args: [u64; 6]) -> SyscallResult {
    (0..ASK_TRIES)
        .map(|_| call_directly(number, args))
        .find(|answer| !answer.is_err_and(Errno::is_restart_code))
        .unwrap_or(Err(Errno::EINTR))
}

/// Tells the worker how the process ends: with exit status `value` ([`op::EXIT`]) or by signal
/// `value` ([`op::DIE`]). There is no answer.
pub fn report_exit(operation: u64, value: u64) {
    report_exit_with(operation, [value, 0, 0, 0, 0]);
}

/// Does what [`report_exit`] does, with more arguments.
pub fn report_exit_with(operation: u64, [first, second, third, fourth, fifth]: [u64; 5]) {
    let thread = sched::current();
    let Some(process) = &thread.process else {
        return;
    };
    let request = Request {
        number: operation,
        args: [first, second, third, fourth, fifth, 0],
    };
    let slot = process.slots.slot(thread.slot);
    if let Err(error) = post(process, thread.slot, slot, &request) {
        klog!("process {}: {error:?} at its end", process.pid);
    }
}

/// Posts `request` and rings the worker if it sleeps.
#[inline]
fn post(
    process: &Process,
    index: u32,
    slot: &DelegationSlot,
    request: &Request,
) -> Result<Wake, SlotError> {
    let wake = slot.post(request)?;
    if wake == Wake::Ring {
        ring(process, index, slot);
    }
    Ok(wake)
}

#[cold]
fn ring(process: &Process, index: u32, slot: &DelegationSlot) {
    let wake = ToLinux::WakeWorker {
        process: process.handle,
        slot: index,
    };
    ikc::send_ringing(&wake, sleeping_cpu(slot));
}

/// The CPU on which the worker fell asleep, if it names a possible one.
fn sleeping_cpu(slot: &DelegationSlot) -> Option<u32> {
    let cpu = slot.sleeping_cpu.load(Ordering::Relaxed);
    ((cpu as usize) < MAX_LINUX_CPUS).then_some(cpu)
}

/// Pauses of the first look for the answer. For what is no system call Linux needs this CPU's help as a
/// rule.
#[inline]
fn first_glance(number: u64, wake: Wake) -> u32 {
    let may_be_short = number < op::BASE || number == op::BOUNCE;
    if may_be_short && wake == Wake::NotNeeded {
        FIRST_GLANCE
    } else {
        GLANCE
    }
}

/// Polls for an answer that has not come at the first look, then sleeps for it. Others that want the
/// CPU get it at once if the worker had to be woken; if it was up, a quick call is waited for, because
/// two switches cost more.
#[inline(never)]
fn wait(
    thread: &Thread,
    process: &Process,
    slot: &DelegationSlot,
    wake: Wake,
) -> Result<SyscallResult, SlotError> {
    // Only now: a quick answer needs no clock.
    let began = time::tsc();
    let limit = time::us_to_ticks(kargs::poll_us());
    let quick = match wake {
        Wake::Ring => 0,
        Wake::NotNeeded => time::us_to_ticks(QUICK_US),
    };
    loop {
        if process.is_dying() {
            return Ok(Err(Errno::EINTR));
        }
        ikc::poll();
        let waited = time::tsc().saturating_sub(began);
        let is_quick = waited < quick;
        let yields = sched::others_runnable() && !is_quick;
        if yields || thread.needs_return_work() || waited >= limit {
            break;
        }
        if !is_quick {
            prezero::clear_some(FRAMES_AT_A_TIME);
        }
        if let Some(result) = glance(slot, GLANCE)? {
            return Ok(result);
        }
    }
    sleep(thread, process, slot)
}

/// Looks for the answer for a moment.
#[inline]
fn glance(slot: &DelegationSlot, pauses: u32) -> Result<Option<SyscallResult>, SlotError> {
    for look in 0..pauses * LOOKS {
        if let Some(result) = slot.poll()? {
            return Ok(Some(result));
        }
        if look % LOOKS == LOOKS - 1 {
            relax();
        }
    }
    Ok(None)
}

/// Sleeps until the worker has answered. A pending signal asks the worker to stop early.
fn sleep(
    thread: &Thread,
    process: &Process,
    slot: &DelegationSlot,
) -> Result<SyscallResult, SlotError> {
    let mut asked_for_ring = false;
    let mut cancelled = false;
    loop {
        if let Some(result) = slot.poll()? {
            return Ok(result);
        }
        if process.is_dying() {
            return Ok(Err(Errno::EINTR));
        }
        if !cancelled && thread.data.signals.has_deliverable(&process.signals) {
            // `false` means that the answer is there or that the slot is broken: `poll` tells.
            cancelled = slot.set_cancel();
            if cancelled {
                ikc::send(&ToLinux::CancelCall {
                    process: process.handle,
                    slot: thread.slot,
                });
            }
        }
        asked_for_ring |= slot.set_waiter();
        if asked_for_ring {
            sched::block(|| {
                is_over(slot)
                    || process.is_dying()
                    || (!cancelled && thread.data.signals.has_deliverable(&process.signals))
            });
        }
    }
}

fn is_over(slot: &DelegationSlot) -> bool {
    !matches!(slot.poll(), Ok(None))
}

/// The proxy broke the protocol: the process ends, and with it the damage. What the call answers.
#[cold]
fn disown(process: &Process, index: u32, error: SlotError) -> SyscallResult {
    klog!("process {}: slot {index}: {error:?}: killed", process.pid);
    process.kill();
    let request = Request {
        number: op::DIE,
        args: [SIGKILL, 0, 0, 0, 0, 0],
    };
    // Whatever state it finds is as broken as before; the request stands all the same.
    let _ = process.slots.slot(index).post(&request);
    ikc::send(&ToLinux::WakeWorker {
        process: process.handle,
        slot: index,
    });
    Err(Errno::EINTR)
}
