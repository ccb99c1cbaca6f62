// SPDX-License-Identifier: GPL-2.0
//! Time from the time-stamp counter, in Linux's clocks.

use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::clock::{ClockWords, Clocks, SHIFT};
use spin::Once;

use crate::params::Params;

static MULTIPLIER: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_US: AtomicU64 = AtomicU64::new(1);
static BASE_TSC: AtomicU64 = AtomicU64::new(0);
static BASE_NS: AtomicU64 = AtomicU64::new(0);
/// What Linux says of its clocks since boot.
static LINUXS: Once<&'static ClockWords> = Once::new();

/// Takes Linux's measure of the counter over. The boot CPU, once.
pub fn init(params: Params) {
    let khz = params.tsc_khz.max(1);
    let multiplier = (1_000_000u128 << SHIFT) / u128::from(khz);
    MULTIPLIER.store(
        u64::try_from(multiplier).unwrap_or(u64::MAX),
        Ordering::Relaxed,
    );
    TICKS_PER_US.store((khz / 1000).max(1), Ordering::Relaxed);
    BASE_TSC.store(params.boot_tsc, Ordering::Relaxed);
    BASE_NS.store(params.boot_monotonic_ns, Ordering::Relaxed);
}

/// The counter. Not ordered against the instructions around it.
pub fn tsc() -> u64 {
    // SAFETY: reading the counter has no effect.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// From now on what Linux says in `words` counts. The boot CPU, once.
pub fn follow(words: &'static ClockWords) {
    LINUXS.call_once(|| words);
}

/// Linux's clocks, as they were said last; until then, as good as the rate Linux measured at boot.
fn clocks() -> Clocks {
    let said = LINUXS.get().and_then(|words| words.read());
    said.unwrap_or_else(|| Clocks {
        tsc: BASE_TSC.load(Ordering::Relaxed),
        monotonic_ns: BASE_NS.load(Ordering::Relaxed),
        multiplier: MULTIPLIER.load(Ordering::Relaxed),
        real_offset_ns: 0,
    })
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    clocks().monotonic_at(tsc())
}

/// By how many nanoseconds CLOCK_REALTIME is ahead of CLOCK_MONOTONIC.
pub fn real_offset_ns() -> u64 {
    clocks().real_offset_ns
}

/// Nanoseconds since boot.
pub fn uptime_ns() -> u64 {
    ticks_to_ns(tsc().wrapping_sub(BASE_TSC.load(Ordering::Relaxed)))
}

/// `microseconds` in ticks.
pub fn us_to_ticks(microseconds: u64) -> u64 {
    microseconds.saturating_mul(TICKS_PER_US.load(Ordering::Relaxed))
}

/// The counter's value when CLOCK_MONOTONIC reaches `ns`; now, if that is past.
pub fn ns_to_tsc(ns: u64) -> u64 {
    let (clocks, now) = (clocks(), tsc());
    let after = ns.saturating_sub(clocks.monotonic_at(now));
    let ticks = (u128::from(after) << SHIFT) / u128::from(clocks.multiplier.max(1));
    now.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
}

/// `ticks` in nanoseconds.
pub fn ticks_to_ns(ticks: u64) -> u64 {
    let ns = (u128::from(ticks) * u128::from(MULTIPLIER.load(Ordering::Relaxed))) >> SHIFT;
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// The time-out of a poll for Linux, which the same hypervisor as this CPU's may keep from running.
/// Time counts between two polls, and no such time for more than a millisecond.
pub struct PollTimeout {
    left: u64,
    seen: u64,
}

impl PollTimeout {
    /// Begins a time-out of so many microseconds.
    pub fn of_us(microseconds: u64) -> Self {
        Self {
            left: us_to_ticks(microseconds),
            seen: tsc(),
        }
    }

    /// Counts the time since the last poll. Returns whether the time-out is over.
    pub fn is_over(&mut self) -> bool {
        const MOST_US: u64 = 1000;
        let now = tsc();
        let passed = now.saturating_sub(self.seen).min(us_to_ticks(MOST_US));
        self.left = self.left.saturating_sub(passed);
        self.seen = now;
        self.left == 0
    }
}

/// The end of a wait.
#[derive(Clone, Copy)]
pub struct Deadline(u64);

impl Deadline {
    /// So many microseconds from now.
    pub fn after_us(microseconds: u64) -> Self {
        Self(tsc().saturating_add(us_to_ticks(microseconds)))
    }

    /// Whether it has come.
    pub fn passed(self) -> bool {
        tsc() >= self.0
    }
}
