// SPDX-License-Identifier: GPL-2.0
//! Linux's clocks, in the control words: what they said at some time-stamp count, and how they go on from there. Linux
//! writes them anew now and then, and at once when a clock is set; so the co-kernel's time is Linux's, also while
//! Linux makes its clock go faster or slower.
//!
//! ```text
//!  writer (ihk.ko, one at a time)           reader (co-kernel, any CPU)
//!  sequence := odd                          reads the sequence; odd: again
//!  fence                                    reads the words
//!  writes the words                         fence
//!  sequence := the next even one            another sequence by now: again
//! ```
//! (loom: `tests/loom_clock.rs`.) A writer that never comes back leaves an odd sequence: readers give up after
//! a few tries and go on with what they know.

use super::atomic::{fence, AtomicU64, Ordering};

/// Nanoseconds per tick are a fraction with this many binary digits.
pub const SHIFT: u32 = 32;
/// The number of times that a reader tries.
const TRIES: u32 = if cfg!(loom) { 2 } else { 64 };

/// What Linux's clocks say, and how fast they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The time-stamp counter's value.
    pub tsc: u64,
    /// CLOCK_MONOTONIC at that moment, ns.
    pub monotonic_ns: u64,
    /// Nanoseconds per tick, with [`SHIFT`] binary digits.
    pub multiplier: u64,
    /// CLOCK_REALTIME minus CLOCK_MONOTONIC, ns.
    pub real_offset_ns: u64,
}

impl Clocks {
    /// CLOCK_MONOTONIC when the counter says `tsc`, ns.
    #[must_use]
    #[inline]
    pub fn monotonic_at(&self, tsc: u64) -> u64 {
        // A CPU's counter may be a little behind that of the CPU which wrote this.
        let ticks = tsc.saturating_sub(self.tsc);
        let ns = (u128::from(ticks) * u128::from(self.multiplier)) >> SHIFT;
        self.monotonic_ns
            .saturating_add(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// The clocks as they go since `before`, when they said what `self` says, but for the speed: that is
    /// measured, if enough time has passed, and is never far from `nominal`.
    #[must_use]
    pub fn measured_since(&self, before: &Self, nominal: u64) -> Self {
        /// Ticks between two looks, at least: less is no measure.
        const ENOUGH: u64 = 100_000_000;
        /// The part of the speed by which Linux may change it.
        const MOST: u64 = 500;
        let ticks = self.tsc.saturating_sub(before.tsc);
        let ns = self.monotonic_ns.saturating_sub(before.monotonic_ns);
        // In 64 bits, as Linux has no division of more.
        let excess = (u64::BITS - ns.leading_zeros()).saturating_sub(SHIFT);
        let speed = ((ns >> excess) << SHIFT) / (ticks >> excess).max(1);
        let is_plausible = ticks >= ENOUGH && speed.abs_diff(nominal) <= nominal / MOST;
        let is_known = before.multiplier.abs_diff(nominal) <= nominal / MOST;
        Self {
            multiplier: match (is_plausible, is_known) {
                (true, _) => speed,
                (false, true) => before.multiplier,
                (false, false) => nominal,
            },
            ..*self
        }
    }
}

/// The words of [`Clocks`]. All zero: nothing was written yet.
#[repr(C)]
pub struct ClockWords {
    sequence: AtomicU64,
    words: [AtomicU64; 4],
}

impl ClockWords {
    /// Nothing was written yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            words: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Writes them. One writer at a time.
    pub fn write(&self, clocks: &Clocks) {
        // Whatever the other side may have made of it: odd, then even, and not 0.
        let sequence = self.sequence.load(Ordering::Relaxed) & !1;
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let values = [
            clocks.tsc,
            clocks.monotonic_ns,
            clocks.multiplier,
            clocks.real_offset_ns,
        ];
        for (word, value) in self.words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        self.sequence
            .store(sequence.wrapping_add(2).max(2), Ordering::Release);
    }

    /// What was written last; `None` if nothing was, or a writer does not come back.
    #[must_use]
    #[inline]
    pub fn read(&self) -> Option<Clocks> {
        for _ in 0..TRIES {
            let sequence = self.sequence.load(Ordering::Acquire);
            if sequence == 0 {
                return None;
            }
            let [tsc, monotonic_ns, multiplier, real_offset_ns] =
                core::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if sequence & 1 == 0 && self.sequence.load(Ordering::Relaxed) == sequence {
                return Some(Clocks {
                    tsc,
                    monotonic_ns,
                    multiplier,
                    real_offset_ns,
                });
            }
            core::hint::spin_loop();
        }
        None
    }
}

impl Default for ClockWords {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// One nanosecond per two ticks.
    const HALF: u64 = 1 << (SHIFT - 1);

    fn clocks(tsc: u64, monotonic_ns: u64) -> Clocks {
        Clocks {
            tsc,
            monotonic_ns,
            multiplier: HALF,
            real_offset_ns: 7,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let words = ClockWords::new();
        assert_eq!(words.read(), None);
        for tsc in 1..4 {
            words.write(&clocks(tsc, 5));
            assert_eq!(words.read(), Some(clocks(tsc, 5)));
        }
    }

    #[test]
    fn time_goes_on_from_what_was_said() {
        let clocks = clocks(100, 1000);
        assert_eq!(clocks.monotonic_at(300), 1100);
        assert_eq!(clocks.monotonic_at(99), 1000);
    }

    #[test]
    fn the_speed_is_measured_as_soon_as_enough_time_has_passed() {
        let before = clocks(0, 0);
        let soon = clocks(1_000_000, 500_400);
        assert_eq!(soon.measured_since(&before, HALF).multiplier, HALF);
        let later = clocks(1_000_000_000, 500_050_000);
        let faster = later.measured_since(&before, HALF).multiplier;
        assert!(faster > HALF && faster.abs_diff(HALF) <= HALF / 9_000);
        let next = clocks(1_000_001_000, 500_050_500).measured_since(
            &Clocks {
                multiplier: faster,
                ..later
            },
            HALF,
        );
        assert_eq!(next.multiplier, faster, "it stays as it was");
    }

    #[test]
    fn no_measure_is_believed_that_cannot_be() {
        let before = Clocks {
            multiplier: u64::MAX,
            ..clocks(0, 0)
        };
        let jumped = clocks(1_000_000_000, 900_000_000);
        assert_eq!(jumped.measured_since(&before, HALF).multiplier, HALF);
    }
}
