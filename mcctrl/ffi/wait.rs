// SPDX-License-Identifier: GPL-2.0
//! Sleeping until a condition holds. The condition is looked at after the task has queued itself,
//! so a wake-up between the look and the sleep is not lost.

use super::{extra, task};
use kernel::{bindings, prelude::*, sync::LockClassKey, time::Jiffies, types::Opaque};

/// The events that may end a sleep besides the condition and the time limit.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// Any signal.
    Signal,
    /// A fatal signal only.
    FatalSignal,
    /// Nothing else: give a time limit.
    Condition,
}

impl Until {
    /// Whether it is time to end.
    pub(crate) fn is_over(self) -> bool {
        match self {
            Self::Signal => task::signal_pending(),
            Self::FatalSignal => task::fatal_signal_pending(),
            Self::Condition => false,
        }
    }
}

/// The reason why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The condition holds.
    Condition,
    /// A signal is pending.
    Signal,
    /// The time is over.
    Timeout,
}

/// A moment, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(bindings::ktime_t);

impl Deadline {
    /// `us` microseconds from now.
    pub(crate) fn after_us(us: u32) -> Self {
        // SAFETY: reads a clock.
        let now = unsafe { bindings::ktime_get() };
        Self(now.saturating_add(i64::from(us) * 1000))
    }
}

/// Tasks that wait for the same thing.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: wait queues are made for use from any context.
unsafe impl Send for WaitQueue {}
// SAFETY: as above.
unsafe impl Sync for WaitQueue {}

/// `TASK_NORMAL`: wakes interruptible and uninterruptible sleepers.
const TASK_NORMAL: c_uint = 0x3;
const TASK_INTERRUPTIBLE: c_int = 0x1;
const TASK_UNINTERRUPTIBLE: c_int = 0x2;
const TASK_KILLABLE: c_int = 0x102;

impl WaitQueue {
    /// An empty queue.
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            head <- Opaque::ffi_init(|head| {
                // SAFETY: `head` is memory for a queue head; name and key live for ever.
                unsafe { bindings::__init_waitqueue_head(head, name.as_char_ptr(), key.as_ptr()) }
            }),
        })
    }

    /// Wakes everyone who waits here. Any context.
    pub(crate) fn wake_all(&self) {
        // SAFETY: the queue is initialised; all waiters use the default wake function.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, core::ptr::null_mut()) };
    }

    /// Sleeps until `condition` holds, or `until` or `limit` ends it. `condition` must not sleep.
    pub(crate) fn wait(
        &self,
        until: Until,
        limit: Option<Jiffies>,
        condition: impl FnMut() -> bool,
    ) -> Woken {
        let mut left = limit.map_or(c_long::MAX, |jiffies| {
            c_long::try_from(jiffies).unwrap_or(c_long::MAX)
        });
        self.wait_by(until, condition, || {
            // SAFETY: no requirement but one that Linux checks: that sleeping is allowed here.
            left = unsafe { bindings::schedule_timeout(left) };
            left == 0
        })
    }

    /// As [`Self::wait`], but ends at `deadline`, to the microsecond.
    pub(crate) fn wait_precisely(
        &self,
        until: Until,
        deadline: Deadline,
        condition: impl FnMut() -> bool,
    ) -> Woken {
        self.wait_by(until, condition, || {
            let mut expires = deadline.0;
            let mode = bindings::hrtimer_mode_HRTIMER_MODE_ABS;
            // SAFETY: as in `wait`; `expires` is only read, and lives until the call is over.
            unsafe { extra::schedule_hrtimeout(&mut expires, mode) == 0 }
        })
    }

    /// `sleep` is called with the task's state set, and says whether the time is over.
    fn wait_by(
        &self,
        until: Until,
        mut condition: impl FnMut() -> bool,
        mut sleep: impl FnMut() -> bool,
    ) -> Woken {
        let state = match until {
            Until::Signal => TASK_INTERRUPTIBLE,
            Until::FatalSignal => TASK_KILLABLE,
            Until::Condition => TASK_UNINTERRUPTIBLE,
        };
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: `entry` is memory for an entry of the current task.
        unsafe { bindings::init_wait_entry(entry.get(), 0) };
        let mut is_over = false;
        let woken = loop {
            // SAFETY: queue and entry are initialised; the entry leaves the queue below, before
            // this frame does.
            let pending =
                unsafe { bindings::prepare_to_wait_event(self.head.get(), entry.get(), state) };
            if condition() {
                break Woken::Condition;
            }
            if pending != 0 {
                break Woken::Signal;
            }
            if is_over {
                break Woken::Timeout;
            }
            is_over = sleep();
        };
        // SAFETY: as for `prepare_to_wait_event`.
        unsafe { bindings::finish_wait(self.head.get(), entry.get()) };
        woken
    }
}
