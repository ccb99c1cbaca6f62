// SPDX-License-Identifier: GPL-2.0
//! Questions to the co-kernel that wait for an answer, found again by their tokens.

use super::answer::Answer;
use crate::ffi::errno;
use crate::ffi::irq_lock::IrqLock;
use crate::ffi::wait::{Until, WaitQueue, Woken};
use crate::process::heartbeat::POLL_MS;
use crate::proto::errno::Errno;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{prelude::*, sync::Arc, sync::SetOnce, time::msecs_to_jiffies};

/// Questions an instance can have open at once.
const MOST_OPEN: usize = 512;

#[pin_data]
struct Request {
    token: u64,
    answer: SetOnce<Answer>,
    #[pin]
    asker: WaitQueue,
}

/// The open questions of one instance.
pub(crate) struct Requests {
    next: AtomicU64,
    open: IrqLock<KVec<Arc<Request>>>,
}

impl Requests {
    /// No questions. ENOMEM if there is no room for them.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            next: AtomicU64::new(1),
            open: IrqLock::new(KVec::with_capacity(MOST_OPEN, GFP_KERNEL)?),
        })
    }

    /// Opens a question. EAGAIN if too many are open.
    pub(crate) fn open(&self) -> Result<Ticket<'_>> {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let request = Arc::pin_init(
            pin_init!(Request {
                token,
                answer: SetOnce::new(),
                asker <- WaitQueue::new(c"mcctrl answer", kernel::static_lock_class!()),
            }),
            GFP_KERNEL,
        )?;
        let shared = request.clone();
        self.open
            .lock()
            .push_within_capacity(shared)
            .map_err(|_| EAGAIN)?;
        Ok(Ticket {
            requests: self,
            request,
        })
    }

    fn take(&self, token: u64) -> Option<Arc<Request>> {
        let mut open = self.open.lock();
        let index = open.iter().position(|request| request.token == token)?;
        open.remove(index).ok()
    }

    /// The answer to `token` came. `false`: nobody asked, or no longer waits. Any context.
    pub(crate) fn answer(&self, token: u64, answer: Answer) -> bool {
        let Some(request) = self.take(token) else {
            return false;
        };
        request.answer.populate(answer);
        request.asker.wake_all();
        true
    }

    /// Answers every open question with `error`.
    pub(crate) fn fail_all(&self, error: Error) {
        loop {
            let Some(request) = self.open.lock().pop() else {
                return;
            };
            let errno = Errno::new(-error.to_errno());
            request.answer.populate(Answer::of_result(Err(errno)));
            request.asker.wake_all();
        }
    }
}

/// An open question; dropping it withdraws it.
pub(crate) struct Ticket<'a> {
    requests: &'a Requests,
    request: Arc<Request>,
}

impl Ticket<'_> {
    /// The token that the co-kernel must send back.
    pub(crate) fn token(&self) -> u64 {
        self.request.token
    }

    /// Sleeps until the answer is there. EINTR if `until` ended it, ETIMEDOUT if it is
    /// time to look whether the heartbeat has timed out.
    pub(crate) fn wait(&self, until: Until) -> Result<Answer> {
        let limit = msecs_to_jiffies(POLL_MS);
        let answer = &self.request.answer;
        match self
            .request
            .asker
            .wait(until, Some(limit), || answer.as_ref().is_some())
        {
            Woken::Condition => answer.copy().ok_or_else(errno::protocol),
            Woken::Signal => Err(EINTR),
            Woken::Timeout => Err(ETIMEDOUT),
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        drop(self.requests.take(self.request.token));
    }
}
