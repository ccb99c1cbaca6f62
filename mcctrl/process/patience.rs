// SPDX-License-Identifier: GPL-2.0
//! How long to wait for a CPU of the co-kernel: as long as its heartbeat moves, which it does while
//! it works on something long (clearing memory on a host that is busy, say), but not for ever.
//!
//! Time is counted in looks, none of which counts for much: while a hypervisor keeps the machine from
//! running, the CPU that is waited for does not run either.

use crate::ffi::ihk;
use kernel::time::{Instant, Monotonic};

/// How long the co-kernel may take to answer without a heartbeat, milliseconds.
const ANSWER_LIMIT_MS: i64 = 1000;
/// A CPU that beats may take this many answer limits.
const MOST_LIMITS: i64 = 30;
/// How often a waiter looks whether its patience is exhausted, milliseconds.
pub(crate) const LOOK_MS: u32 = 50;
/// What one look counts for at most, milliseconds.
const MOST_LOOK_MS: i64 = 2 * LOOK_MS as i64;

/// A wait for one CPU.
pub(crate) struct Patience {
    os: u32,
    cpu: u32,
    /// The last look, and what the heartbeat said then.
    looked: Instant<Monotonic>,
    beat: u64,
    /// Milliseconds waited, altogether and since the heartbeat moved.
    waited: i64,
    still: i64,
}

impl Patience {
    /// The wait begins now.
    pub(crate) fn new(os: u32, cpu: u32) -> Self {
        Self {
            os,
            cpu,
            looked: Instant::now(),
            beat: ihk::heartbeat(os, cpu),
            waited: 0,
            still: 0,
        }
    }

    /// Whether the CPU is to be given up. Ask every [`LOOK_MS`] or more often.
    pub(crate) fn is_exhausted(&mut self) -> bool {
        let passed = self.looked.elapsed().as_millis().min(MOST_LOOK_MS);
        if passed > 0 {
            self.looked = Instant::now();
            self.waited += passed;
            self.still += passed;
        }
        let beat = ihk::heartbeat(self.os, self.cpu);
        if beat != self.beat {
            self.beat = beat;
            self.still = 0;
        }
        self.still >= ANSWER_LIMIT_MS || self.waited >= ANSWER_LIMIT_MS * MOST_LIMITS
    }
}
