// SPDX-License-Identifier: GPL-2.0
//! The layout lock of an address space: who has it may move areas. It sleeps, and serves Linux
//! meanwhile, because its holder may be waiting for Linux.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::arch::relax;
use crate::aspace::space::AddressSpace;
use crate::ikc;
use crate::task::sched;

/// The right to move areas; given back on drop.
pub struct LayoutGuard<'a>(&'a AtomicUsize);

impl Drop for LayoutGuard<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl AddressSpace {
    /// Waits for the right to move areas. Its holder may wait for Linux, but never for ever.
    pub fn lock_layout(&self) -> LayoutGuard<'_> {
        let me = this_thread();
        let take = || {
            self.layout()
                .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
        };
        while take().is_err() {
            relax();
            ikc::poll();
            sched::let_all_run();
        }
        LayoutGuard(self.layout())
    }

    /// Waits while another thread moves areas; whether one did. As [`Self::lock_layout`], but for who may have
    /// the right already.
    pub fn await_layout(&self) -> bool {
        let holder = self.layout().load(Ordering::Acquire);
        if holder == 0 || holder == this_thread() {
            return false;
        }
        drop(self.lock_layout());
        true
    }
}

/// The number by which the layout lock knows the current thread.
fn this_thread() -> usize {
    core::ptr::from_ref(sched::current()).addr()
}
