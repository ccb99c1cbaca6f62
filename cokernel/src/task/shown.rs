// SPDX-License-Identifier: GPL-2.0
//! A thread's own copy of what it has shown its worker. The slot's own words lie in lines that the worker writes, so the
//! thread keeps what they say here, and touches them only for a change.
//!
//! Only the thread itself reads and writes any of it: each access is relaxed.

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use cokernel_logic::signals::SignalSet;
use ihk_ikc::slot::DelegationSlot;

/// Not yet published: a mask that no thread has, because some signals cannot be blocked.
const NO_MASK: u64 = u64::MAX;
/// Not yet published: neither a CPU of Linux nor the value that stands for none.
const NO_SERVER: u32 = u32::MAX;

/// A thread's own copy of what it has shown its worker.
pub struct ShownToWorker {
    /// The mask that the slot shows, or [`NO_MASK`].
    mask: AtomicU64,
    /// The page whose data do not travel through the bounce page; a hint, 0 = none.
    usual_page: AtomicU64,
    /// The CPU of Linux that the slot shows, or [`NO_SERVER`].
    server: AtomicU32,
    /// The worker is not what new threads would inherit.
    marked: AtomicBool,
}

impl Default for ShownToWorker {
    fn default() -> Self {
        Self {
            mask: AtomicU64::new(NO_MASK),
            usual_page: AtomicU64::new(0),
            server: AtomicU32::new(NO_SERVER),
            marked: AtomicBool::new(false),
        }
    }
}

impl ShownToWorker {
    /// Publishes the thread's signal mask in its slot: the worker blocks in a call what the thread
    /// blocks.
    #[inline]
    pub fn publish_mask(&self, slot: &DelegationSlot, mask: SignalSet) {
        if self.mask.load(Ordering::Relaxed) != mask.0 {
            slot.blocked.store(mask.0, Ordering::Relaxed);
            self.mask.store(mask.0, Ordering::Relaxed);
        }
    }

    /// Publishes in the slot which CPU of Linux serves the thread's CPU: the worker goes there.
    #[inline]
    pub fn publish_server(&self, slot: &DelegationSlot, server: u32) {
        if self.server.load(Ordering::Relaxed) != server {
            slot.server.store(server, Ordering::Relaxed);
            self.server.store(server, Ordering::Relaxed);
        }
    }

    /// Returns the page that the last call used in the usual way, without the bounce page; 0 = none.
    #[inline]
    pub fn usual_page(&self) -> u64 {
        self.usual_page.load(Ordering::Relaxed)
    }

    /// Notes that a call has used `page` in the usual way; 0 = forget what was noted.
    pub fn set_usual_page(&self, page: u64) {
        self.usual_page.store(page, Ordering::Relaxed);
    }

    /// Notes that the worker is not what new threads would inherit.
    pub fn mark(&self) {
        self.marked.store(true, Ordering::Relaxed);
    }

    /// Returns whether the worker is not what new threads would inherit.
    pub fn is_marked(&self) -> bool {
        self.marked.load(Ordering::Relaxed)
    }
}
