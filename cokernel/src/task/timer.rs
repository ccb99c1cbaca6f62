// SPDX-License-Identifier: GPL-2.0
//! One-shot timers. No tick: the hardware is armed only while somebody waits for a time, or several threads
//! share the CPU.

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use cokernel_logic::timers::Due;
use cokernel_logic::timers::{Key, Timers};
use spin::Once;

use crate::arch::{self, time, timer};
use crate::sync::{PerCpuArray, SpinLock};
use crate::task::thread::Thread;

static TIMERS: Once<PerCpuArray<SpinLock<Timers<Arc<Thread>>>>> = Once::new();

/// A wake-up that was ordered.
#[must_use]
pub struct Ticket {
    cpu: u32,
    key: Key,
}

/// Makes the lists of what CPUs wait for. The boot CPU, once.
pub fn init(cpus: u32) {
    TIMERS.call_once(|| PerCpuArray::new(cpus, |_| SpinLock::new(Timers::new())));
}

/// Wakes `thread` when CLOCK_MONOTONIC reaches `deadline_ns`, unless cancelled.
pub fn wake_at(deadline_ns: u64, thread: Arc<Thread>) -> Ticket {
    let cpu = arch::cpu_index();
    let mut timers = local().lock();
    let key = timers.add(deadline_ns, thread);
    arm(&mut timers);
    Ticket { cpu, key }
}

/// Takes an order back. `false` if its time has come already.
pub fn cancel(ticket: Ticket) -> bool {
    let timers = TIMERS.get().and_then(|timers| timers.get(ticket.cpu));
    // The hardware may fire once more for nothing; that is cheaper than to arm it again.
    timers.is_some_and(|timers| timers.lock().cancel(ticket.key).is_some())
}

/// The running thread shares this CPU: [`crate::task::sched::request_resched`] after `slice_ns`.
pub fn set_slice(slice_ns: u64) {
    let mut timers = local().lock();
    timers.set_slice(time::now_ns().saturating_add(slice_ns));
    arm(&mut timers);
}

/// The CPU time of the running thread's process is looked at after `ns`, or earlier if that was ordered before.
pub fn look_after(ns: u64) {
    let mut timers = local().lock();
    if timers.look_at(time::now_ns().saturating_add(ns)) {
        arm(&mut timers);
    }
}

/// Takes what is due at `now` but for the threads, which [`pop_due`] gives out.
pub fn take_due(now: u64) -> Due {
    local().lock().take_due(now)
}

/// The next thread that shall wake at `now`; when there is none any more, the hardware is armed for what
/// comes next. The caller wakes it with nothing locked.
pub fn pop_due(now: u64) -> Option<Arc<Thread>> {
    let mut timers = local().lock();
    let thread = timers.pop_due(now);
    if thread.is_none() {
        arm(&mut timers);
    }
    thread
}

/// Calls `act` with all threads that wait for a time, on all CPUs.
pub fn for_each_waiting(act: impl Fn(&Arc<Thread>)) {
    for cpu in 0..arch::cpu_count() {
        let timers = TIMERS.get().and_then(|timers| timers.get(cpu));
        let waiting: Vec<_> = timers.map_or_else(Vec::new, |timers| {
            timers.lock().waiting().cloned().collect()
        });
        waiting.iter().for_each(&act);
    }
}

fn local() -> &'static SpinLock<Timers<Arc<Thread>>> {
    TIMERS
        .get()
        .expect("timers are used before they are there")
        .this()
}

/// Sets the hardware to the earliest time wanted, unless it fires by then anyway.
fn arm(timers: &mut Timers<Arc<Thread>>) {
    if let Some(next) = timers.arm() {
        timer::arm_for(next);
    }
}
