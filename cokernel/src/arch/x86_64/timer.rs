// SPDX-License-Identifier: GPL-2.0
//! One-shot timers. No tick: the hardware is armed only while somebody waits for a time, or several
//! threads share the CPU.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::TIMER_VECTOR;
use spin::Once;

use super::time::{self, Deadline};
use super::{apic, cpu, features, msr};
use crate::sync::{PerCpuArray, SpinLock};
use crate::task::thread::Thread;
use crate::task::{cpu_timer, sched};

/// Timer mode bits of the local vector table.
const TSC_DEADLINE_MODE: u32 = 2 << 17;
/// How long the count-down is measured against the time-stamp counter.
const CALIBRATION_US: u64 = 2000;
/// No time.
const NEVER: u64 = u64::MAX;

/// Ticks of the count-down per millisecond; 0: the timer takes a deadline.
static TICKS_PER_MS: AtomicU64 = AtomicU64::new(0);
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

/// Measures the timer. The boot CPU, once, with its APIC on.
pub(super) fn init(cpus: u32) {
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
    if !features::has_tsc_deadline() {
        TICKS_PER_MS.store(calibrate(), Ordering::Relaxed);
    }
}

/// Prepares this CPU's timer; it stays silent.
pub(super) fn enable() {
    let mode = if counts_down() { 0 } else { TSC_DEADLINE_MODE };
    apic::set_timer_entry(mode | u32::from(TIMER_VECTOR));
    // A deadline written next must not overtake the mode.
    // SAFETY: a fence.
    unsafe { core::arch::asm!("mfence", options(nostack, preserves_flags)) };
}

/// Wakes `thread` when CLOCK_MONOTONIC reaches `deadline_ns`, unless cancelled.
pub fn wake_at(deadline_ns: u64, thread: Arc<Thread>) -> Ticket {
    let cpu = cpu::cpu_index();
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

/// The running thread shares this CPU: [`sched::request_resched`] after `slice_ns`, unless a slice
/// is running already.
pub fn start_slice(slice_ns: u64) {
    let mut timers = local().lock();
    if timers.slice_end == NEVER {
        timers.slice_end = time::now_ns() + slice_ns;
        arm(&timers);
    }
}

/// [`cpu_timer::look`] is called after `ns`, or earlier if that was ordered before.
pub fn look_after(ns: u64) {
    let mut timers = local().lock();
    let look_at = time::now_ns().saturating_add(ns);
    if look_at < timers.look_at {
        timers.look_at = look_at;
        arm(&timers);
    }
}

/// The timer fired on this CPU.
pub(super) fn interrupt() {
    crate::failure::in_timer();
    let now = time::now_ns();
    let mut timers = local().lock();
    if timers.slice_end <= now {
        timers.slice_end = NEVER;
        sched::request_resched();
    }
    let look = timers.look_at <= now;
    if look {
        timers.look_at = NEVER;
    }
    while let Some(entry) = timers
        .waiting
        .first_entry()
        .filter(|entry| entry.key().0 <= now)
    {
        let thread = entry.remove();
        drop(timers); // waking takes other locks
        sched::wake(&thread);
        timers = local().lock();
    }
    arm(&timers);
    drop(timers);
    if look {
        cpu_timer::look();
    }
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
    if next == NEVER {
        return;
    }
    if counts_down() {
        let ns = next.saturating_sub(time::now_ns());
        let ticks = u128::from(ns) * u128::from(TICKS_PER_MS.load(Ordering::Relaxed)) / 1_000_000;
        // A time beyond the counter's range fires early and is armed again.
        apic::start_timer(u32::try_from(ticks + 1).unwrap_or(u32::MAX));
    } else {
        // SAFETY: the register exists in this mode; 0 would disarm, so never 0.
        unsafe { msr::write(msr::TSC_DEADLINE, time::ns_to_tsc(next).max(1)) };
    }
}

fn counts_down() -> bool {
    TICKS_PER_MS.load(Ordering::Relaxed) != 0
}

fn calibrate() -> u64 {
    apic::start_timer(u32::MAX);
    let (first, start) = timer_and_tsc();
    let deadline = Deadline::after_us(CALIBRATION_US);
    while !deadline.passed() {
        core::hint::spin_loop();
    }
    let (left, now) = timer_and_tsc();
    let (ticks, elapsed) = (u64::from(first - left), now - start);
    apic::start_timer(0);
    let per_ms =
        u128::from(ticks) * u128::from(time::us_to_ticks(1000)) / u128::from(elapsed.max(1));
    u64::try_from(per_ms).unwrap_or(u64::MAX).max(1)
}

/// What the timer counts and the time-stamp counter of the same moment: a hypervisor that takes the
/// CPU away between the two looks would spoil the calibration, so the closest of a few pairs.
fn timer_and_tsc() -> (u32, u64) {
    const TRIES: usize = 8;
    let pair = |_| {
        let before = time::tsc();
        let left = apic::timer_left();
        (time::tsc() - before, left, before)
    };
    let closest = (0..TRIES).map(pair).min_by_key(|&(width, ..)| width);
    closest.map_or((0, 0), |(_, left, tsc)| (left, tsc))
}
