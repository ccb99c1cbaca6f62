// SPDX-License-Identifier: GPL-2.0
//! The shared work queue, and waiting for work items, which the kernel crate does not offer.

use kernel::bindings;
use kernel::workqueue::{DelayedWork, Queue, Work};

/// Linux's queue for items that may run on any CPU and sleep.
pub(crate) fn shared() -> &'static Queue {
    // SAFETY: made when Linux boots, never destroyed.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

/// Waits until `work`, if queued, has run. Process context, without locks the item takes.
pub(crate) fn flush<T, const ID: u64>(work: &Work<T, ID>) {
    // SAFETY: the item exists as long as the reference.
    unsafe { bindings::flush_work(Work::raw_get(work)) };
}

/// Runs `work` now if it waits for its time, and waits until it has run. As [`flush`].
pub(crate) fn flush_delayed<T, const ID: u64>(work: &DelayedWork<T, ID>) {
    // SAFETY: the item exists as long as the reference; the work is the first field of the
    // delayed work.
    unsafe { bindings::flush_delayed_work(DelayedWork::raw_as_work(work).cast()) };
}
