// SPDX-License-Identifier: GPL-2.0
//! The state of a mirror: who hears of Linux's changes, what is shown, and what was taken back.

use super::shown::Shown;
use crate::ffi::irq_lock::IrqLock;
use crate::ffi::notifier::{IntervalOps, Notifier};
use crate::ffi::rwsem::RwSem;
use crate::ffi::wait::WaitQueue;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{prelude::*, sync::Mutex};

/// The pages of Linux that one proxy, a `T`, mirrors.
#[pin_data]
pub(crate) struct Mirror<T: IntervalOps> {
    /// There once the first page is shown, until the window is released.
    #[pin]
    pub(super) notifier: RwSem<Option<Pin<KBox<Notifier<T>>>>>,
    /// The record.
    pub(super) shown: IrqLock<Shown>,
    /// Held from I2 to I4, so that numbers go up in the ring as they do here. Guards the last one.
    #[pin]
    pub(super) dropping: Mutex<u64>,
    /// Number of the last answer.
    dropped: AtomicU64,
    #[pin]
    pub(super) waiting: WaitQueue,
}

impl<T: IntervalOps> Mirror<T> {
    /// Nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            notifier <- RwSem::new(None, c"mcctrl mirror", kernel::static_lock_class!()),
            shown: IrqLock::new(Shown::new()),
            dropping <- kernel::new_mutex!(0, "mcctrl dropping"),
            dropped: AtomicU64::new(0),
            waiting <- WaitQueue::new(c"mcctrl mirror", kernel::static_lock_class!()),
        })
    }

    /// The co-kernel has answered. Any context.
    pub(crate) fn answered(&self, number: u64) {
        self.dropped.fetch_max(number, Ordering::AcqRel);
        self.wake();
    }

    /// Whether the co-kernel has answered `number`, or a later one.
    pub(super) fn has_dropped(&self, number: u64) -> bool {
        self.dropped.load(Ordering::Acquire) >= number
    }

    /// Wakes who waits for an answer: the instance is gone.
    pub(crate) fn wake(&self) {
        self.waiting.wake_all();
    }

    /// The window is gone, and with it everything that could be mirrored. Sleeps.
    pub(crate) fn end(&self) {
        let notifier = self.notifier.write().take();
        drop(notifier);
    }
}
