// SPDX-License-Identifier: GPL-2.0
//! The times without work of a CPU ([`cokernel_logic::poll_time`]), by its time stamp counter.

use cokernel_logic::poll_time::{self, SOON_US};

use crate::arch::time;
use crate::kargs;

/// A time without work.
pub(super) struct Pause(poll_time::Pause);

impl Pause {
    /// It begins now.
    pub(super) fn begin(poll_us: u64) -> Self {
        Self(poll_time::Pause::begin(time::tsc(), poll_us))
    }

    /// The CPU is about to halt.
    pub(super) fn halts(&mut self) {
        self.0.halts();
    }

    /// The time to poll in it, µs.
    pub(super) fn poll_us(&self) -> u64 {
        self.0.poll_us
    }

    /// It ends now: how long to poll in the next one.
    pub(super) fn end(&self) -> u64 {
        let soon = time::us_to_ticks(SOON_US);
        self.0.end(time::tsc(), soon, kargs::poll_us())
    }
}
