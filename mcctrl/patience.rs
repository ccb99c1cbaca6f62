// SPDX-License-Identifier: GPL-2.0
//! How long to wait for a CPU of the co-kernel: as long as its heartbeat moves, which it does while
//! it works on something long (clearing memory on a host that is busy, say), but not for ever.

use crate::ffi::ihk;
use crate::requests::ANSWER_LIMIT_MS;
use kernel::time::{Instant, Monotonic};

/// A CPU that beats may take this many answer limits.
const MOST_LIMITS: i64 = 30;

/// A wait for one CPU.
pub(crate) struct Patience {
    os: u32,
    cpu: u32,
    began: Instant<Monotonic>,
    /// When the heartbeat was last seen to move, and what it said.
    moved: Instant<Monotonic>,
    beat: u64,
}

impl Patience {
    /// The wait begins now.
    pub(crate) fn new(os: u32, cpu: u32) -> Self {
        let now = Instant::now();
        Self {
            os,
            cpu,
            began: now,
            moved: now,
            beat: ihk::heartbeat(os, cpu),
        }
    }

    /// Whether the CPU is to be given up. Ask at least once per answer limit.
    pub(crate) fn is_exhausted(&mut self) -> bool {
        let limit = i64::from(ANSWER_LIMIT_MS);
        let beat = ihk::heartbeat(self.os, self.cpu);
        if beat != self.beat {
            self.beat = beat;
            self.moved = Instant::now();
        }
        self.moved.elapsed().as_millis() >= limit
            || self.began.elapsed().as_millis() >= limit.saturating_mul(MOST_LIMITS)
    }
}
