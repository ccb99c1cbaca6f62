// SPDX-License-Identifier: GPL-2.0
//! Looking after a running instance: work items that stop it when it has failed, called by whoever
//! notices something and, in case that is lost, now and then.

use super::examination::{Examination, Finding};
use super::pulse::LOOK_MS;
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
    /// The status, for whoever asks. If programs run, the CPUs are examined, and the next answer may be another.
    pub(crate) fn status_asked(self: &Arc<Self>) -> u32 {
        let status = self.status();
        if status == status::RUNNING {
            self.examine();
        }
        status
    }

    /// Has the CPUs examined, unless they are already. Any context.
    pub(crate) fn examine(self: &Arc<Self>) {
        if !self.is_doubted.swap(true, Ordering::AcqRel) {
            self.look_after();
        }
    }

    /// Begins an examination, or goes on with it; whether it goes on.
    fn go_on_examining(self: &Arc<Self>) -> bool {
        if !self.is_doubted.load(Ordering::Acquire) {
            return false;
        }
        // Nobody stops it meanwhile: an NMI must not reach a CPU that is Linux's again.
        let steering = self.steering.lock();
        let Some(running) = &steering.running else {
            return false;
        };
        let mut examination = self.examination.lock();
        let finding = match &mut *examination {
            None if running.programs() == 0 => Finding::Well,
            None => match Examination::begin(running) {
                Ok(begun) => {
                    *examination = Some(begun);
                    Finding::Unknown
                }
                // Without memory it is tried again when somebody asks again.
                Err(_) => Finding::Well,
            },
            Some(begun) => begun.go_on(running),
        };
        if matches!(finding, Finding::Unknown) {
            return true;
        }
        *examination = None;
        self.is_doubted.store(false, Ordering::Release);
        if let Finding::Hung(reason) = finding {
            self.give_up(reason);
        }
        false
    }

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
        self.is_doubted.store(false, Ordering::Release);
        *self.examination.lock() = None;
        self.watch_again(WATCH_MS);
    }

    fn watch_again(self: &Arc<Self>, after_ms: u32) {
        let delay = msecs_to_jiffies(after_ms);
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
        if this.check() && this.examination.lock().is_none() {
            this.go_on_examining();
        }
    }
}

impl WorkItem<1> for Instance {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        if this.check() {
            let examines = this.go_on_examining();
            this.watch_again(if examines { LOOK_MS as u32 } else { WATCH_MS });
        }
    }
}
