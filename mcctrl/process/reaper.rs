// SPDX-License-Identifier: GPL-2.0
//! The reaper of an instance: delayed work that tells the co-kernel of proxies that are gone,
//! waits for it to free their processes, forgets them, and looks after pinned frames. It runs only
//! while there is something to do, and never makes an exiting process wait.

use super::heartbeat::{HeartbeatTimeout, POLL_MS};
use super::instance::Instance;
use super::proxy::Proxy;
use crate::ffi::{ihk, workqueue};
use crate::proto::packet::ToCokernel;
use crate::revoke::pins;
use core::sync::atomic::Ordering;
use kernel::{sync::Arc, time::msecs_to_jiffies, workqueue::WorkItem};

/// Pause between two rounds, milliseconds.
const PAUSE_MS: u32 = POLL_MS;

impl Instance {
    /// There may be something to do. Any context; returns at once.
    pub(crate) fn call_reaper(self: &Arc<Self>) {
        if !self.is_gone() && self.reaper.calls.fetch_add(1, Ordering::AcqRel) == 0 {
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

impl Proxy {
    /// The last mapping and descriptor of the window went. Does not wait for the co-kernel: the
    /// reaper tells it, because this may run while a process exits.
    pub(crate) fn window_released(&self) {
        self.memory.drop_mapping();
        self.set_released();
        if self.handle() != 0 {
            // At once, because a parent may be waiting in vfork; the reaper tries again.
            reap(self);
        }
        self.instance.call_reaper();
    }
}

impl WorkItem for Instance {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let calls = this.reaper.calls.load(Ordering::Acquire);
        let more = !this.is_gone() && round(&this);
        if more {
            this.schedule_round(PAUSE_MS);
        } else if this.is_gone() {
            this.reaper.calls.store(0, Ordering::Release);
            this.reaper.at_rest.wake_all();
        } else if this
            .reaper
            .calls
            .compare_exchange(calls, 0, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            this.schedule_round(0);
        } else {
            this.reaper.at_rest.wake_all();
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
            reap(proxy);
        }
    });
    pins::recheck(instance) || more
}

/// Tells the co-kernel once; from then on it must free the process before its heartbeat times out.
fn reap(proxy: &Proxy) {
    let mut reaping = proxy.reaping.lock();
    if let Some(timeout) = &mut *reaping {
        let expired = timeout.has_expired();
        drop(reaping);
        if expired {
            proxy
                .instance
                .declare_hung("a dead process was not freed, though it beats");
        }
        return;
    }
    let message = ToCokernel::ProxyGone {
        process: proxy.handle(),
    };
    // A full ring is tried again in the next round; other errors mean that the instance is gone.
    if ihk::try_send(proxy.instance.os, proxy.cpu(), &message).is_ok() {
        *reaping = Some(HeartbeatTimeout::new(proxy.instance.os, proxy.cpu()));
    }
}
