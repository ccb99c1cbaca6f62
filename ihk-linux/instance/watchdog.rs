// SPDX-License-Identifier: GPL-2.0
//! Looking after a running instance: work items that stop it when it has failed, called by whoever
//! notices something and, in case that is lost, now and then.

use super::stop::{stop, Cause};
use super::Instance;
use crate::ffi::workqueue;
use crate::proto::control::state;
use crate::proto::uapi::status;
use core::sync::atomic::Ordering;
use kernel::prelude::*;
use kernel::sync::Arc;
use kernel::time::msecs_to_jiffies;
use kernel::workqueue::WorkItem;

/// The interval at which a running instance is looked after, in case its last packet was lost, and is told the time.
const WATCH_MS: u32 = 500;

impl Instance {
    /// The instance is beyond help: its CPUs are reset soon, by a work item. Any context.
    pub(crate) fn give_up(self: &Arc<Self>, reason: &'static CStr) {
        self.failure.lock().get_or_insert(reason);
        self.look_after();
    }

    /// Lets a work item look at the co-kernel's state. Any context.
    pub(crate) fn look_after(self: &Arc<Self>) {
        // An error says that the item is queued already, which is just as good.
        let _ = workqueue::shared().enqueue::<_, 0>(self.clone());
    }

    /// From now on, as long as the instance runs.
    pub(crate) fn start_watchdog(self: &Arc<Self>) {
        let delay = msecs_to_jiffies(WATCH_MS);
        let _ = workqueue::shared().enqueue_delayed::<_, 1>(self.clone(), delay);
    }

    /// Waits for work items under way. Not while holding `steering`.
    pub(crate) fn flush(&self) {
        workqueue::flush_delayed(&self.watchdog);
        workqueue::flush(&self.look);
    }

    /// Stops the instance if it has failed, else tells it the time; says whether it still runs.
    fn check(&self) -> bool {
        let mut steering = self.steering.lock();
        let Some(running) = &steering.running else {
            return false;
        };
        let failure = *self.failure.lock();
        let cause = match (failure, running.control.state.load(Ordering::Acquire)) {
            (Some(reason), _) => {
                let reason = reason.to_str().unwrap_or("?");
                pr_err!("mcos{}: given up: {}\n", self.number, reason);
                status::HUNGUP
            }
            (None, state::RUNNING) => {
                self.tell_clocks(running);
                return true;
            }
            (None, seen) => {
                let what = if seen == state::PANIC {
                    "panicked"
                } else {
                    "stopped by itself"
                };
                pr_err!(
                    "mcos{}: the co-kernel {}, see its kmsg\n",
                    self.number,
                    what
                );
                status::PANIC
            }
        };
        stop(self, &mut steering, Cause::Failed(cause));
        false
    }
}

impl WorkItem<0> for Instance {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        this.check();
    }
}

impl WorkItem<1> for Instance {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        if this.check() {
            this.start_watchdog();
        }
    }
}
