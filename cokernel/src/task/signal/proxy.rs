// SPDX-License-Identifier: GPL-2.0
//! The treatment of signals from Linux by the proxy of a process, as far as it has been told by
//! [`crate::process::signal::proxy_mask`] and `syscall::sigaction`.

use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::signals::SignalSet;

/// The proxy's treatment of signals for a process. Writers of all words: the threads of the process. They
/// do not wait for each other: at worst the proxy is told once too often.
pub struct ProxySignals {
    /// Signals the program once waited for without a handler: the proxy sends them here.
    awaited: AtomicU64,
    /// Signals that one of its signalfds reads: Linux keeps them while all threads block them. Only
    /// grows.
    read_as_files: AtomicU64,
    /// The signals that Linux keeps pending for the process. What it keeps for a thread is in the slot.
    kept: AtomicU64,
}

impl ProxySignals {
    /// The state of a proxy that blocks `blocked` and has been told nothing.
    pub const fn new(blocked: SignalSet) -> Self {
        Self {
            awaited: AtomicU64::new(0),
            read_as_files: AtomicU64::new(0),
            kept: AtomicU64::new(blocked.0),
        }
    }

    /// The state of a child's proxy, which goes on as its parent's does; signals in `cleared` come
    /// here, too, as they did while the parent had handlers for them.
    pub fn inherit(&self, cleared: SignalSet) -> Self {
        Self {
            awaited: AtomicU64::new(self.awaited().union(cleared).0),
            read_as_files: AtomicU64::new(self.read_as_files().0),
            kept: AtomicU64::new(self.kept().0),
        }
    }

    /// Returns the signals that the proxy sends here although the program has no handler for them.
    pub fn awaited(&self) -> SignalSet {
        SignalSet(self.awaited.load(Ordering::Relaxed))
    }

    /// Notes that the proxy is to send the signals of `set` here. Returns those that are new.
    pub fn add_awaited(&self, set: SignalSet) -> SignalSet {
        let known = self.awaited.fetch_or(set.0, Ordering::Relaxed);
        set.without(SignalSet(known))
    }

    /// Notes that `signal` has another action from now on, of which the proxy is told.
    pub fn remove_awaited(&self, signal: u32) {
        let bit = SignalSet::of(signal).0;
        self.awaited.fetch_and(!bit, Ordering::Relaxed);
    }

    /// Returns the signals that signalfds read.
    pub fn read_as_files(&self) -> SignalSet {
        SignalSet(self.read_as_files.load(Ordering::Relaxed))
    }

    /// Notes that a signalfd reads the signals of `set`.
    pub fn add_read_as_files(&self, set: SignalSet) {
        self.read_as_files.fetch_or(set.0, Ordering::Relaxed);
    }

    /// Returns what Linux keeps pending for the process.
    pub fn kept(&self) -> SignalSet {
        SignalSet(self.kept.load(Ordering::Relaxed))
    }

    /// Notes that the proxy has been told what to keep pending for the process.
    pub fn set_kept(&self, kept: SignalSet) {
        self.kept.store(kept.0, Ordering::Relaxed);
    }

    /// Notes that the proxy keeps `signal` no longer.
    pub fn remove_kept(&self, signal: u32) {
        let bit = SignalSet::of(signal).0;
        self.kept.fetch_and(!bit, Ordering::Relaxed);
    }
}
