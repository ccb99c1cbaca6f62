// SPDX-License-Identifier: GPL-2.0
//! The undertaker of an instance: delayed work that tells the co-kernel of proxies that are gone,
//! waits for it to free their processes, forgets them, and looks after pinned frames. It runs only
//! while there is something to do, and never makes an exiting process wait.

use crate::ffi::wait::{Until, WaitQueue};
use crate::ffi::workqueue;
use crate::instance::Instance;
use crate::patience::{Patience, LOOK_MS};
use crate::pins;
use crate::proto::packet::ToCokernel;
use crate::proxy::Proxy;
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{prelude::*, sync::Arc, time::msecs_to_jiffies, workqueue::WorkItem};

/// Pause between two rounds, milliseconds.
const PAUSE_MS: u32 = LOOK_MS;

/// Whether the undertaker of an instance is at work.
#[pin_data]
pub(crate) struct Undertaker {
    /// Calls not yet answered by a complete round; 0 = at rest.
    calls: AtomicU32,
    #[pin]
    at_rest: WaitQueue,
}

impl Undertaker {
    /// At rest.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            calls: AtomicU32::new(0),
            at_rest <- WaitQueue::new(c"mcctrl undertaker", kernel::static_lock_class!()),
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

impl Instance {
    /// There may be something to do. Any context; returns at once.
    pub(crate) fn call_undertaker(self: &Arc<Self>) {
        if !self.is_gone() && self.undertaker.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            self.schedule_round(0);
        }
    }

    fn schedule_round(self: &Arc<Self>, pause_ms: u32) {
        if let Some(queue) = workqueue::own() {
            // An error says that a round is scheduled already.
            let _ = queue.enqueue_delayed(self.clone(), msecs_to_jiffies(pause_ms));
        }
    }
}

impl WorkItem for Instance {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let calls = this.undertaker.calls.load(Ordering::Acquire);
        let more = !this.is_gone() && round(&this);
        if more {
            this.schedule_round(PAUSE_MS);
        } else if this.is_gone() {
            this.undertaker.calls.store(0, Ordering::Release);
            this.undertaker.at_rest.wake_all();
        } else if this
            .undertaker
            .calls
            .compare_exchange(calls, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            this.schedule_round(0);
        } else {
            this.undertaker.at_rest.wake_all();
        }
    }
}

/// Does what can be done now. `true` if something is left to do.
fn round(instance: &Arc<Instance>) -> bool {
    while let Some(proxy) =
        instance.find_proxy(|proxy| proxy.is_released() && proxy.is_unknown_to_cokernel())
    {
        instance.disown(&proxy);
    }
    let mut more = false;
    instance.for_each_proxy(|proxy| {
        if proxy.is_released() {
            more = true;
            bury(proxy);
        }
    });
    pins::recheck(instance) || more
}

/// Tells the co-kernel once; from then on it has our patience to free the process.
pub(crate) fn bury(proxy: &Proxy) {
    let mut buried = proxy.buried.lock();
    if let Some(patience) = &mut *buried {
        let exhausted = patience.is_exhausted();
        drop(buried);
        if exhausted {
            proxy
                .instance
                .declare_hung("a dead process was not freed for a second");
        }
        return;
    }
    let message = ToCokernel::ProxyGone {
        process: proxy.handle(),
    };
    // A full ring is tried again in the next round; other errors mean that the instance is gone.
    if crate::ffi::ihk::try_send(proxy.instance.os, proxy.cpu(), &message).is_ok() {
        *buried = Some(Patience::new(proxy.instance.os, proxy.cpu()));
    }
}
