// SPDX-License-Identifier: GPL-2.0
//! The address of a thread's list of robust futexes, and what Linux knows of it. The list is walked in
//! [`crate::futex::robust`].
//!
//! Linux walks the list when a worker is killed. It is told of it once some of the words may lie in memory
//! that Linux's programs see. Only the thread itself writes; others read the head.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The list of robust futexes of a thread.
#[derive(Default)]
pub struct RobustList {
    /// Address of the head; 0 = none.
    head: AtomicU64,
    /// Linux has been told of the list.
    told: AtomicBool,
    /// Linux is to be told before user mode goes on.
    to_tell: AtomicBool,
}

impl RobustList {
    /// Returns the address of the head; 0 = none.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    /// Changes the address of the head. Returns whether Linux had been told of the list before; it does not
    /// know this one.
    pub fn set_head(&self, head: u64) -> bool {
        self.head.store(head, Ordering::Relaxed);
        self.begin_untelling()
    }

    /// Takes the address of the head: there is no list from now on.
    pub fn take_head(&self) -> u64 {
        self.head.swap(0, Ordering::Relaxed)
    }

    /// Returns the address that the caller is to tell Linux, if there is a list of which Linux does not
    /// know.
    pub fn begin_telling(&self) -> Option<u64> {
        let head = self.head();
        let is_news = head != 0 && !self.told.swap(true, Ordering::Relaxed);
        is_news.then_some(head)
    }

    /// Returns whether the caller is to tell Linux that there is no list.
    pub fn begin_untelling(&self) -> bool {
        self.told.swap(false, Ordering::Relaxed)
    }

    /// Asks that Linux be told before user mode goes on. Returns whether there is anything to tell.
    pub fn request_telling(&self) -> bool {
        let is_news = self.head() != 0 && !self.told.load(Ordering::Relaxed);
        if is_news {
            self.to_tell.store(true, Ordering::Relaxed);
        }
        is_news
    }

    /// Takes the request of [`Self::request_telling`].
    pub fn take_request(&self) -> bool {
        self.to_tell.swap(false, Ordering::Relaxed)
    }
}
