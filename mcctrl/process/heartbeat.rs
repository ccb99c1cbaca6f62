// SPDX-License-Identifier: GPL-2.0
//! Waiting for a CPU of the co-kernel. As long as its heartbeat moves it is waited for, but not for ever. If
//! it stands still, ihk.ko examines the CPU, in the background: whether it hangs or is only slow shows there,
//! and whoever waits goes on until the answer comes or the instance is gone.

use crate::ffi::ihk;
use kernel::time::{Instant, Monotonic};

/// How long the heartbeat may stand still before the CPU is examined, milliseconds.
const PATIENCE_MS: i64 = 250;
/// How long a CPU may beat without an answer, milliseconds in which it beat.
const LIMIT_MS: i64 = 30_000;
/// The interval at which a waiter looks whether the heartbeat has timed out, milliseconds.
pub(crate) const POLL_MS: u32 = 50;
/// The most that one look counts for, milliseconds.
const MOST_POLL_MS: i64 = 2 * POLL_MS as i64;

/// A wait for one CPU.
pub(crate) struct HeartbeatTimeout {
    os: u32,
    cpu: u32,
    /// The last look, and what the heartbeat said then.
    looked: Instant<Monotonic>,
    beat: u64,
    /// Milliseconds in which it has beaten, and since it beat.
    lived: i64,
    still: i64,
}

impl HeartbeatTimeout {
    /// The wait begins now.
    pub(crate) fn new(os: u32, cpu: u32) -> Self {
        Self {
            os,
            cpu,
            looked: Instant::now(),
            beat: ihk::heartbeat(os, cpu),
            lived: 0,
            still: 0,
        }
    }

    /// Whether the CPU is to be given up: it beats, and does not answer. Ask every [`POLL_MS`] or more often.
    pub(crate) fn has_expired(&mut self) -> bool {
        let passed = self.looked.elapsed().as_millis().min(MOST_POLL_MS);
        if passed == 0 {
            return false;
        }
        self.looked = Instant::now();
        let beat = ihk::heartbeat(self.os, self.cpu);
        if beat != self.beat {
            self.beat = beat;
            self.still = 0;
            self.lived += passed;
        } else {
            self.still += passed;
        }
        if self.still >= PATIENCE_MS {
            self.still = 0;
            ihk::examine(self.os);
        }
        self.lived >= LIMIT_MS
    }
}
