// SPDX-License-Identifier: GPL-2.0
//! The time that an idle CPU polls before it halts.
//!
//! Two threads that wake each other by turns, or a thread and its worker, can get stuck: each halts a
//! moment before the other is done with waking. So a CPU that was woken soon after it had halted polls
//! longer next time, and as long as it was told to otherwise. The core is the program's own: nobody
//! else could use the time.

use crate::arch::time;
use crate::kargs;

/// A thread that comes within this time would come sooner if nobody had halted, µs.
const SOON_US: u64 = 2000;
/// The longest poll, µs.
const LONGEST_US: u64 = 1000;

/// A time without work.
pub(super) struct Pause {
    began_tsc: u64,
    /// The CPU halted, perhaps long after it had polled enough: it clears memory meanwhile.
    has_halted: bool,
    /// The time to poll in it, in µs.
    pub(super) poll_us: u64,
}

impl Pause {
    /// It begins now.
    pub(super) fn begin(poll_us: u64) -> Self {
        Self {
            began_tsc: time::tsc(),
            has_halted: false,
            poll_us,
        }
    }

    /// The CPU is about to halt.
    pub(super) fn halts(&mut self) {
        self.has_halted = true;
    }

    /// It ends now: how long to poll in the next one.
    pub(super) fn end(&self) -> u64 {
        let lasted = time::tsc().saturating_sub(self.began_tsc);
        let usual = kargs::poll_us();
        if lasted > time::us_to_ticks(SOON_US) {
            usual
        } else if self.has_halted {
            (self.poll_us * 2).min(LONGEST_US.max(usual))
        } else {
            self.poll_us
        }
    }
}
