// SPDX-License-Identifier: GPL-2.0
//! The time that an idle CPU polls before it halts.
//!
//! Two threads that wake each other by turns, or a thread and its worker, can get stuck: each halts a
//! moment before the other is done with waking. So a CPU that was woken soon after it had halted polls
//! longer next time, and as long as it was told to otherwise. The core is the program's own: nobody
//! else could use the time.

/// A thread that comes within this time would come sooner if nobody had halted, µs.
pub const SOON_US: u64 = 2000;
/// The longest poll, µs.
const LONGEST_US: u64 = 1000;

/// A time without work.
pub struct Pause {
    began: u64,
    /// The CPU halted, perhaps long after it had polled enough: it clears memory meanwhile.
    has_halted: bool,
    /// The time to poll in it, in µs.
    pub poll_us: u64,
}

impl Pause {
    /// It begins at `now`, on any clock.
    #[must_use]
    pub const fn begin(now: u64, poll_us: u64) -> Self {
        Self {
            began: now,
            has_halted: false,
            poll_us,
        }
    }

    /// The CPU is about to halt.
    pub fn halts(&mut self) {
        self.has_halted = true;
    }

    /// It ends at `now`: how long to poll in the next one. `soon` is [`SOON_US`] on the same clock;
    /// `usual_us` is what the boot arguments say.
    #[must_use]
    pub fn end(&self, now: u64, soon: u64, usual_us: u64) -> u64 {
        if now.saturating_sub(self.began) > soon {
            usual_us
        } else if self.has_halted {
            (self.poll_us * 2).min(LONGEST_US.max(usual_us))
        } else {
            self.poll_us
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: u64 = 100;

    /// The time to poll after a pause of `lasted` µs.
    fn after(poll_us: u64, lasted: u64, halted: bool, usual: u64) -> u64 {
        let mut pause = Pause::begin(5000, poll_us);
        if halted {
            pause.halts();
        }
        pause.end(5000 + lasted, SOON_US, usual)
    }

    #[test]
    fn who_was_woken_soon_after_halting_polls_twice_as_long() {
        assert_eq!(after(USUAL, USUAL + 1, true, USUAL), 2 * USUAL);
        assert_eq!(after(USUAL, SOON_US, true, USUAL), 2 * USUAL);
    }

    #[test]
    fn who_found_work_while_polling_polls_as_long_again() {
        assert_eq!(after(400, 399, false, USUAL), 400);
    }

    #[test]
    fn who_had_nothing_to_do_for_long_polls_as_usual_again() {
        assert_eq!(after(800, SOON_US + 1, true, USUAL), USUAL);
        assert_eq!(after(800, SOON_US + 1, false, USUAL), USUAL);
    }

    #[test]
    fn nobody_polls_longer_than_a_millisecond_unless_told_to() {
        assert_eq!(after(800, 900, true, USUAL), LONGEST_US);
        assert_eq!(after(5000, 1500, true, 5000), 5000);
    }

    #[test]
    fn who_is_told_never_to_poll_never_does() {
        assert_eq!(after(0, 1, true, 0), 0);
    }

    /// The time stamp counters of two CPUs may differ by a little.
    #[test]
    fn a_clock_that_seems_to_go_back_is_a_short_pause() {
        let mut pause = Pause::begin(5000, USUAL);
        pause.halts();
        assert_eq!(pause.end(4999, SOON_US, USUAL), 2 * USUAL);
    }

    proptest! {
        /// Whatever happens, a CPU polls no less than usual and no longer than the most.
        #[test]
        fn polls_stay_between_usual_and_longest(
            usual in 1u64..3000,
            pauses in proptest::collection::vec((0u64..4000, any::<bool>()), 0..50),
        ) {
            let mut poll_us = usual;
            for (lasted, halted) in pauses {
                poll_us = after(poll_us, lasted, halted, usual);
                prop_assert!((usual..=usual.max(LONGEST_US)).contains(&poll_us));
            }
        }
    }
}
