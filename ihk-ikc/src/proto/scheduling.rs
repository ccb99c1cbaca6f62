// SPDX-License-Identifier: GPL-2.0
//! How a thread is scheduled, as sched(7) has it, in one word: mcctrl reads it from Linux's task, the
//! co-kernel obeys it.

/// Numbers of the scheduling policies, as in Linux's `SCHED_*`.
pub mod policy {
    /// `SCHED_NORMAL` (`SCHED_OTHER`).
    pub const NORMAL: u8 = 0;
    /// `SCHED_FIFO`.
    pub const FIFO: u8 = 1;
    /// `SCHED_RR`.
    pub const RR: u8 = 2;
    /// `SCHED_BATCH`.
    pub const BATCH: u8 = 3;
    /// `SCHED_IDLE`.
    pub const IDLE: u8 = 5;
    /// `SCHED_DEADLINE`.
    pub const DEADLINE: u8 = 6;
}

/// Policy and priorities of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// One of [`policy`], or another number of Linux's.
    pub policy: u8,
    /// From 1 (lowest) to 99 for `FIFO` and `RR`, else 0.
    pub priority: u8,
    /// From −20 (highest) to 19.
    pub nice: i8,
    /// `SCHED_RESET_ON_FORK`.
    pub resets_on_fork: bool,
}

impl Scheduling {
    /// As one word; the upper bits are 0.
    #[must_use]
    pub const fn word(self) -> u32 {
        u32::from_le_bytes([
            self.policy,
            self.priority,
            self.nice.to_le_bytes()[0],
            self.resets_on_fork as u8,
        ])
    }

    /// From a word; what it says beyond the bounds is brought within them.
    #[must_use]
    pub const fn of_word(word: u32) -> Self {
        let [policy, priority, nice, resets] = word.to_le_bytes();
        let nice = i8::from_le_bytes([nice]);
        Self {
            policy,
            priority: if priority > 99 { 99 } else { priority },
            nice: if nice < -20 {
                -20
            } else if nice > 19 {
                19
            } else {
                nice
            },
            resets_on_fork: resets & 1 != 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{policy, Scheduling};

    #[test]
    fn a_word_says_the_same() {
        for nice in [-20, -1, 0, 19] {
            let scheduling = Scheduling {
                policy: policy::RR,
                priority: 99,
                nice,
                resets_on_fork: nice < 0,
            };
            assert_eq!(Scheduling::of_word(scheduling.word()), scheduling);
        }
        assert_eq!(Scheduling::of_word(0), Scheduling::default());
    }

    #[test]
    fn no_word_is_beyond_the_bounds() {
        let most = Scheduling::of_word(u32::from_le_bytes([9, 200, 100, 3]));
        assert_eq!(
            (most.priority, most.nice, most.resets_on_fork),
            (99, 19, true)
        );
        assert_eq!(Scheduling::of_word(0x0080_0000).nice, -20);
    }
}
