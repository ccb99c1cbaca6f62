// SPDX-License-Identifier: GPL-2.0
//! Whether the reaper of an instance is at work, and waiting until it is not.

use crate::ffi::wait::{Until, WaitQueue};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::prelude::*;

/// Whether the reaper of an instance is at work.
#[pin_data]
pub(crate) struct Reaper {
    /// Calls not yet answered by a complete round; 0 = at rest.
    pub(super) calls: AtomicU32,
    #[pin]
    pub(super) at_rest: WaitQueue,
}

impl Reaper {
    /// At rest.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            calls: AtomicU32::new(0),
            at_rest <- WaitQueue::new(c"mcctrl reaper", kernel::static_lock_class!()),
        })
    }

    /// Sleeps until no round is under way or due. Only when the instance is gone, so that the next
    /// round is the last.
    pub(crate) fn dismiss(&self) {
        self.at_rest.wait(Until::Condition, None, || {
            self.calls.load(Ordering::Acquire) == 0
        });
    }
}
