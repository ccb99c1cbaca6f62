// SPDX-License-Identifier: GPL-2.0
//! The module's own work queue: burials, and revocations that no worker can do at once, run there,
//! whatever mcexec does. Being our own it can be drained before the module goes.

use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::{bindings, prelude::*, workqueue::Queue};

static QUEUE: AtomicPtr<bindings::workqueue_struct> = AtomicPtr::new(core::ptr::null_mut());

/// Makes the queue. Once, before anything is queued.
pub(crate) fn create() -> Result {
    let flags = bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_HIGHPRI;
    // SAFETY: the name has no format directives; 0 = the default number of workers.
    let queue = unsafe { bindings::alloc_workqueue_noprof(c"mcctrl".as_char_ptr(), flags, 0) };
    if queue.is_null() {
        return Err(ENOMEM);
    }
    QUEUE.store(queue, Ordering::Release);
    Ok(())
}

/// Runs what is queued to its end and destroys the queue. Once, when nothing is queued any more.
pub(crate) fn destroy() {
    let queue = QUEUE.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if !queue.is_null() {
        // SAFETY: made by `create`; nobody uses it any more.
        unsafe { bindings::destroy_workqueue(queue) };
    }
}

/// The queue, while it exists.
pub(crate) fn queue() -> Option<&'static Queue> {
    let queue = QUEUE.load(Ordering::Acquire);
    // SAFETY: made by `create`, and lives until the module goes.
    (!queue.is_null()).then(|| unsafe { Queue::from_raw(queue) })
}
