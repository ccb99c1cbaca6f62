// SPDX-License-Identifier: GPL-2.0
//! CPU time of a thread, in ticks of the time-stamp counter: all the time it is on a CPU, also while
//! it polls for Linux. Written by the CPU that runs the thread; others may look at any time.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::time::{ticks_to_ns, tsc};

/// The CPU time of one thread, in ticks.
#[derive(Default)]
pub struct CpuClock {
    /// Time of all stays on a CPU that are over.
    before: AtomicU64,
    /// The time at which the present stay on a CPU began; 0 = the thread is on none.
    since: AtomicU64,
}

impl CpuClock {
    /// The thread comes onto a CPU.
    pub fn start(&self) {
        self.since.store(tsc().max(1), Ordering::Release);
    }

    /// The thread leaves its CPU. How many ticks it was there.
    pub fn stop(&self) -> u64 {
        let since = self.since.swap(0, Ordering::AcqRel);
        let ticks = if since == 0 {
            0
        } else {
            tsc().saturating_sub(since)
        };
        // One writer: a plain addition is enough.
        let before = self.before.load(Ordering::Relaxed);
        self.before.store(before + ticks, Ordering::Release);
        ticks
    }

    /// Ticks so far. A look that falls between the two words of a [`Self::stop`] elsewhere may miss
    /// the last time on a CPU.
    pub fn ticks(&self) -> u64 {
        let since = self.since.load(Ordering::Acquire);
        let running = if since == 0 {
            0
        } else {
            tsc().saturating_sub(since)
        };
        self.before.load(Ordering::Acquire) + running
    }

    /// Nanoseconds so far.
    pub fn ns(&self) -> u64 {
        ticks_to_ns(self.ticks())
    }
}
