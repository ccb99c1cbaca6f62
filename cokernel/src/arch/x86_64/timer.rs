// SPDX-License-Identifier: GPL-2.0
//! The timer of the local APIC: one interrupt at a time, at the time that was asked for.

use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::TIMER_VECTOR;

use super::time::{self, Deadline};
use super::{apic, features, msr};

/// Timer mode bits of the local vector table.
const TSC_DEADLINE_MODE: u32 = 2 << 17;
/// The time for which the count-down is measured against the time-stamp counter.
const CALIBRATION_US: u64 = 2000;
/// Ticks of the count-down per millisecond; 0: the timer takes a deadline.
static TICKS_PER_MS: AtomicU64 = AtomicU64::new(0);

/// Measures the timer. The boot CPU, once, with its APIC on.
pub(super) fn measure() {
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
    unsafe { core::arch::x86_64::_mm_mfence() };
}

/// Orders an interrupt when CLOCK_MONOTONIC reaches `deadline_ns`, in place of the one ordered before.
pub fn arm_for(deadline_ns: u64) {
    if counts_down() {
        let ns = deadline_ns.saturating_sub(time::now_ns());
        let ticks = u128::from(ns) * u128::from(TICKS_PER_MS.load(Ordering::Relaxed)) / 1_000_000;
        // A time beyond the counter's range fires early and is armed again.
        apic::start_timer(u32::try_from(ticks + 1).unwrap_or(u32::MAX));
    } else {
        // SAFETY: the register exists in this mode; 0 would disarm, so never 0.
        unsafe { msr::write(msr::TSC_DEADLINE, time::ns_to_tsc(deadline_ns).max(1)) };
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

/// The timer's count and the time-stamp counter of the same moment: a hypervisor that takes the CPU away
/// between the two looks would spoil the calibration, so it is the closest of a few pairs.
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
