// SPDX-License-Identifier: GPL-2.0
//! One-shot timers. No tick: the hardware is armed only while somebody waits for a time, or several threads
//! share the CPU.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use spin::Once;

use crate::arch::{self, time, timer};
use crate::sync::{PerCpuArray, SpinLock};
use crate::task::thread::Thread;

/// No time.
const NEVER: u64 = u64::MAX;
static TIMERS: Once<PerCpuArray<SpinLock<Timers>>> = Once::new();

/// What one CPU waits for.
struct Timers {
    /// By time (ns of CLOCK_MONOTONIC), then by number.
    waiting: BTreeMap<(u64, u64), Arc<Thread>>,
    /// End of the running thread's slice.
    slice_end: u64,
    /// When the CPU time of the running thread's process is to be looked at.
    look_at: u64,
    next_number: u64,
}

/// A wake-up that was ordered.
#[must_use]
pub struct Ticket {
    cpu: u32,
    key: (u64, u64),
}

/// Makes the lists of what CPUs wait for. The boot CPU, once.
pub fn init(cpus: u32) {
    TIMERS.call_once(|| {
        PerCpuArray::new(cpus, |_| {
            SpinLock::new(Timers {
                waiting: BTreeMap::new(),
                slice_end: NEVER,
                look_at: NEVER,
                next_number: 0,
            })
        })
    });
}

/// Wakes `thread` when CLOCK_MONOTONIC reaches `deadline_ns`, unless cancelled.
pub fn wake_at(deadline_ns: u64, thread: Arc<Thread>) -> Ticket {
    let cpu = arch::cpu_index();
    let mut timers = local().lock();
    let key = (deadline_ns, timers.next_number);
    timers.next_number += 1;
    timers.waiting.insert(key, thread);
    arm(&timers);
    Ticket { cpu, key }
}

/// Takes an order back. `false` if its time has come already.
pub fn cancel(ticket: Ticket) -> bool {
    let timers = TIMERS.get().and_then(|timers| timers.get(ticket.cpu));
    // The hardware may fire once more for nothing; that is cheaper than to arm it again.
    timers.is_some_and(|timers| timers.lock().waiting.remove(&ticket.key).is_some())
}

/// The running thread shares this CPU: [`crate::task::sched::request_resched`] after `slice_ns`, unless a slice
/// is running already.
pub fn start_slice(slice_ns: u64) {
    let mut timers = local().lock();
    if timers.slice_end == NEVER {
        timers.slice_end = time::now_ns() + slice_ns;
        arm(&timers);
    }
}

/// The CPU time of the running thread's process is looked at after `ns`, or earlier if that was ordered before.
pub fn look_after(ns: u64) {
    let mut timers = local().lock();
    let look_at = time::now_ns().saturating_add(ns);
    if look_at < timers.look_at {
        timers.look_at = look_at;
        arm(&timers);
    }
}

/// What else than threads has come to its time.
pub struct Due {
    /// The running thread's slice is over.
    pub slice: bool,
    /// The CPU time of the running thread's process is to be looked at.
    pub look: bool,
}

/// Takes what is due at `now` but for the threads, which [`pop_due`] gives out.
pub fn take_due(now: u64) -> Due {
    let mut timers = local().lock();
    let due = Due {
        slice: timers.slice_end <= now,
        look: timers.look_at <= now,
    };
    if due.slice {
        timers.slice_end = NEVER;
    }
    if due.look {
        timers.look_at = NEVER;
    }
    due
}

/// The next thread that shall wake at `now`; when there is none any more, the hardware is armed for what
/// comes next. The caller wakes it with nothing locked.
pub fn pop_due(now: u64) -> Option<Arc<Thread>> {
    let mut timers = local().lock();
    let first = timers.waiting.first_entry();
    let due = first.filter(|entry| entry.key().0 <= now);
    let thread = due.map(|entry| entry.remove());
    if thread.is_none() {
        arm(&timers);
    }
    thread
}

fn local() -> &'static SpinLock<Timers> {
    TIMERS
        .get()
        .expect("timers are used before they are there")
        .this()
}

/// Sets the hardware to the earliest time wanted, if any.
fn arm(timers: &Timers) {
    let first = timers
        .waiting
        .first_key_value()
        .map_or(NEVER, |(key, _)| key.0);
    let next = first.min(timers.slice_end).min(timers.look_at);
    if next != NEVER {
        timer::arm_for(next);
    }
}
