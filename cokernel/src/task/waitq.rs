// SPDX-License-Identifier: GPL-2.0
//! Threads that wait for the same thing.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use super::sched;
use super::thread::Thread;
use crate::sync::SpinLock;

/// A queue of waiting threads, first come, first woken.
pub struct WaitQueue {
    waiting: SpinLock<VecDeque<Arc<Thread>>>,
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self {
            waiting: SpinLock::new(VecDeque::new()),
        }
    }

    /// Waits until `condition` holds, or the thread has work to do before user mode (a signal), or
    /// the clock reaches `deadline_ns`. Whether the condition holds.
    pub fn wait(&self, deadline_ns: Option<u64>, mut condition: impl FnMut() -> bool) -> bool {
        let me = sched::current_arc();
        self.waiting.lock().push_back(Arc::clone(&me));
        let mut timed_out = false;
        let held = loop {
            sched::prepare_to_block();
            let held = condition();
            if held || timed_out || me.needs_return_work() {
                sched::cancel_block();
                break held;
            }
            timed_out = !sched::block_prepared(deadline_ns);
        };
        self.waiting.lock().retain(|thread| !Arc::ptr_eq(thread, &me));
        held
    }

    /// Wakes up to `count` threads; they look at their conditions.
    pub fn wake(&self, count: usize) -> usize {
        let waiting = self.waiting.lock();
        waiting.iter().take(count).map(sched::wake).count()
    }

    /// Wakes all.
    pub fn wake_all(&self) {
        self.wake(usize::MAX);
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
