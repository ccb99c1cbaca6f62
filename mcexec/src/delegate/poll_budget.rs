// SPDX-License-Identifier: GPL-2.0
//! Hop 5.1 of a delegated call: the worker polls its slot, as long as its poll budget lasts, before
//! it sleeps.
//!
//! Polling costs Linux's CPU, sleeping costs a wake-up. A short burst of polls, a *glance*, is
//! always made. So a thread that asks again at once is answered without either side sleeping. This
//! holds also when many workers share few CPUs: each serves its thread in bursts.
//!
//! Beyond the glance each worker learns from its own past, as KVM's halt polling does. If a request
//! came soon after the worker had gone to sleep, it polls longer next time; if the request came
//! late, it polls shorter. A worker that sleeps may have itself woken when the next request is due
//! ([`super::period`]). While more workers are up than Linux has CPUs for them, polling would take
//! the CPU from somebody's call, so there is nothing but the glance.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ihk_ikc::slot::{DelegationSlot, Request};
use nix::errno::Errno;

use super::period::{Due, Period};
use super::placement;

/// A glance has this many PAUSE instructions. The clock is read after each glance.
const GLANCE: u32 = 32;
/// Polls per PAUSE. Until a request comes nobody else writes to the line, so a poll costs no more
/// than a hit in the cache. A request that comes in a PAUSE waits for its end.
const POLLS_PER_PAUSE: u32 = 32;
/// The largest budget is about twice the price of a wake-up.
const LONGEST: Duration = Duration::from_micros(200);
/// The smallest budget is also the first one of each worker.
const SHORTEST: Duration = Duration::from_micros(50);
/// A request that comes this soon would come sooner if neither side had slept.
const SOON: Duration = Duration::from_micros(500);

/// Number of the workers that do not sleep in mcctrl.
static UP: AtomicUsize = AtomicUsize::new(0);

/// A worker's knowledge of when its requests come.
pub(super) struct PollBudget {
    budget: Duration,
    period: Period,
    /// The wait for a request that did not come at once.
    waiting: Option<Waiting>,
}

/// A wait that goes on.
struct Waiting {
    began: Instant,
    /// The time to poll before the next sleep, counted like the times below since the wait began.
    until: Duration,
    /// The worker has slept.
    slept: bool,
    /// The time at which the request is due for which the worker sleeps, or has slept.
    due: Option<Due>,
    /// The time at which it was up again, if it has been woken because a request is due.
    up: Option<Duration>,
}

impl PollBudget {
    /// Returns the budget of the first worker of a process, which may be a forked copy of one with
    /// many.
    pub(super) fn of_first() -> Self {
        UP.store(0, Ordering::Relaxed);
        Self::new()
    }

    /// Returns the budget of a worker that has just begun.
    pub(super) fn new() -> Self {
        UP.fetch_add(1, Ordering::Relaxed);
        Self {
            budget: SHORTEST,
            period: Period::new(),
            waiting: None,
        }
    }

    /// Polls for a request. Returns `None` when it is time to sleep.
    pub(super) fn poll(&mut self, slot: &DelegationSlot) -> Option<Request> {
        if let Some(request) = glance(slot) {
            self.learn();
            return Some(request);
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Waiting::begin(self.budget));
        while waiting.goes_on() && UP.load(Ordering::Relaxed) <= placement::cpu_count() {
            if let Some(request) = glance(slot) {
                self.learn();
                return Some(request);
            }
        }
        None
    }

    /// Runs `sleep` with how long it may take, and counts the worker as not up meanwhile. If
    /// `sleep` fails with `ETIMEDOUT`, the time has passed, which is no failure.
    pub(super) fn asleep(
        &mut self,
        sleep: impl FnOnce(Option<Duration>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let limit = self.sleep_for();
        UP.fetch_sub(1, Ordering::Relaxed);
        let result = sleep(limit);
        UP.fetch_add(1, Ordering::Relaxed);
        if result == Err(Errno::ETIMEDOUT) {
            self.wake_up();
            return Ok(());
        }
        result
    }

    /// Returns how long to sleep: until the next request is due, or for ever if that is not known
    /// or past.
    fn sleep_for(&mut self) -> Option<Duration> {
        let waiting = self.waiting.as_mut()?;
        waiting.slept = true;
        if waiting.up.is_some() {
            self.period.missed();
            waiting.due = None;
            return None;
        }
        let due = self.period.due()?;
        waiting.due = Some(due);
        due.from.checked_sub(waiting.began.elapsed())
    }

    /// Notes that the worker was woken because a request is due.
    fn wake_up(&mut self) {
        if let Some(Waiting {
            began,
            until,
            due: Some(due),
            up,
            ..
        }) = self.waiting.as_mut()
        {
            *up = Some(began.elapsed());
            *until = due.until;
        }
    }

    /// Learns from a request that has just come. It teaches nothing if the worker had not slept.
    fn learn(&mut self) {
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        if !waiting.slept {
            return;
        }
        let waited = waiting.began.elapsed();
        self.budget = next_budget(self.budget, waited);
        match (waiting.due, waiting.up) {
            (Some(_), Some(up)) => self.period.was_up(waited.saturating_sub(up)),
            (Some(due), None) if waited <= due.until => self.period.was_late(),
            _ => {}
        }
        self.period.came(waited);
    }
}

impl Waiting {
    fn begin(budget: Duration) -> Self {
        Self {
            began: Instant::now(),
            until: budget,
            slept: false,
            due: None,
            up: None,
        }
    }

    /// Returns whether to poll further.
    fn goes_on(&self) -> bool {
        self.began.elapsed() < self.until
    }
}

impl Drop for PollBudget {
    fn drop(&mut self) {
        UP.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the budget after a sleep, when the request came `waited` after the worker had begun to
/// wait.
fn next_budget(budget: Duration, waited: Duration) -> Duration {
    let next = if waited <= SOON {
        budget * 2
    } else {
        budget / 2
    };
    next.clamp(SHORTEST, LONGEST)
}

/// Polls for the length of one glance.
fn glance(slot: &DelegationSlot) -> Option<Request> {
    for poll in 0..GLANCE * POLLS_PER_PAUSE {
        if let Some(request) = slot.take() {
            return Some(request);
        }
        if poll % POLLS_PER_PAUSE == POLLS_PER_PAUSE - 1 {
            spin_loop();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{next_budget, LONGEST, SHORTEST};
    use std::time::Duration;

    #[test]
    fn budgets_follow_the_pattern() {
        let soon = Duration::from_micros(120);
        let late = Duration::from_millis(1);
        assert_eq!(next_budget(SHORTEST, soon), SHORTEST * 2);
        assert_eq!(next_budget(LONGEST, soon), LONGEST);
        assert_eq!(next_budget(LONGEST, late), LONGEST / 2);
        assert_eq!(next_budget(SHORTEST, late), SHORTEST);
    }
}
