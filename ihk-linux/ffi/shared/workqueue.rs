// SPDX-License-Identifier: GPL-2.0
//! Work queues: Linux's shared one, one of the module's own, and waiting for work items, none of which
//! the kernel crate offers.

use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::bindings;
use kernel::prelude::*;
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

/// The module's own queue. Unlike the shared one it can be drained before the module goes.
static OWN: AtomicPtr<bindings::workqueue_struct> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the module's own queue, called `name`, for urgent items that may run on any CPU and sleep.
/// Once, before anything is queued.
pub(crate) fn create_own(name: &'static CStr) -> Result {
    let flags = bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_HIGHPRI;
    // SAFETY: the format asks for one string, which follows; 0 = the default number of workers.
    let queue = unsafe {
        bindings::alloc_workqueue_noprof(c"%s".as_char_ptr(), flags, 0, name.as_char_ptr())
    };
    if queue.is_null() {
        return Err(ENOMEM);
    }
    OWN.store(queue, Ordering::Release);
    Ok(())
}

/// Runs what is queued to its end and destroys the queue. Once, when nothing is queued any more.
pub(crate) fn destroy_own() {
    let queue = OWN.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if !queue.is_null() {
        // SAFETY: made by `create_own`; nobody uses it any more.
        unsafe { bindings::destroy_workqueue(queue) };
    }
}

/// The module's own queue, while it exists.
pub(crate) fn own() -> Option<&'static Queue> {
    let queue = OWN.load(Ordering::Acquire);
    // SAFETY: made by `create_own`, and lives until the module goes.
    (!queue.is_null()).then(|| unsafe { Queue::from_raw(queue) })
}
