// SPDX-License-Identifier: GPL-2.0
//! The resource limits of a process, and the numbers of those that the co-kernel itself enforces
//! (`RLIMIT_*` of Linux).

use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::process::RLIMITS;

use crate::sync::SpinLock;

/// CPU time.
pub const CPU: usize = 0;
/// Writable private memory.
pub const DATA: usize = 2;
/// The main stack.
pub const STACK: usize = 3;
/// Locked memory.
pub const MEMLOCK: usize = 8;
/// Queued signals of a user.
pub const SIGPENDING: usize = 11;
/// The whole address space.
pub const AS: usize = 9;

/// The soft and the hard limit, by number.
pub type Values = [[u64; 2]; RLIMITS];

/// The resource limits of a process. Writers: its own threads, and those of processes that Linux lets.
pub struct Limits {
    /// Nothing is locked under it.
    values: SpinLock<Values>,
    /// Limits that the proxy does not know, bit n = limit n.
    untold: AtomicU64,
}

impl Limits {
    /// Limits that the proxy knows.
    pub const fn new(values: Values) -> Self {
        Self {
            values: SpinLock::new(values),
            untold: AtomicU64::new(0),
        }
    }

    /// Returns all of them.
    pub fn all(&self) -> Values {
        *self.values.lock()
    }

    /// Returns soft and hard limit `number`.
    pub fn get(&self, number: usize) -> [u64; 2] {
        self.values.lock()[number]
    }

    /// Changes limit `number`.
    pub fn set(&self, number: usize, wanted: [u64; 2]) {
        self.values.lock()[number] = wanted;
    }

    /// Notes that the proxy does not know limit `number`.
    pub fn note_untold(&self, number: usize) {
        self.untold.fetch_or(1 << number, Ordering::Relaxed);
    }

    /// Returns the limits that the proxy does not know; the caller tells it.
    pub fn take_untold(&self) -> impl Iterator<Item = usize> {
        let untold = self.untold.swap(0, Ordering::Relaxed);
        (0..RLIMITS).filter(move |number| untold & 1 << number != 0)
    }
}
