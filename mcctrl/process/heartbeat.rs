// SPDX-License-Identifier: GPL-2.0
//! The liveness time-out of a CPU of the co-kernel. It is waited for as long as its heartbeat
//! moves, which it does while it works on something long (clearing memory on a host that is busy,
//! say), but not for ever.
//!
//! Time is counted in looks, none of which counts for much: while a hypervisor keeps the machine from
//! running, the CPU that is waited for does not run either.

use crate::ffi::ihk;
use kernel::time::{Instant, Monotonic};

/// The longest time that the co-kernel may take to answer without a heartbeat, milliseconds.
const HEARTBEAT_TIMEOUT_MS: i64 = 1000;
/// A CPU that beats may take this many time-outs.
const MOST_TIMEOUTS: i64 = 30;
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
    /// Milliseconds waited, altogether and since the heartbeat moved.
    waited: i64,
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
            waited: 0,
            still: 0,
        }
    }

    /// Whether the CPU is to be given up. Ask every [`POLL_MS`] or more often.
    pub(crate) fn has_expired(&mut self) -> bool {
        let passed = self.looked.elapsed().as_millis().min(MOST_POLL_MS);
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
        self.still >= HEARTBEAT_TIMEOUT_MS || self.waited >= HEARTBEAT_TIMEOUT_MS * MOST_TIMEOUTS
    }
}
