// SPDX-License-Identifier: GPL-2.0
//! How long a worker looks for the next request before it sleeps.
//!
//! Looking costs Linux's CPU, sleeping costs a wake-up. A glance is always taken: a thread that asks
//! again at once is answered without either side sleeping, also when many workers share few CPUs,
//! so that a worker serves its thread in bursts. Beyond the glance each worker learns from its own
//! past, as KVM's halt polling does: if a request came soon after it had gone to sleep it looks
//! longer next time, if it came late it looks shorter. A worker that sleeps may have itself woken when
//! the next request is due ([`super::expect`]). While more workers are up than Linux has CPUs
//! for them, looking would take the CPU from somebody's call, so there is nothing but the glance.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ihk_ikc::slot::{DelegationSlot, Request};
use nix::errno::Errno;

use super::expect::{Due, Expectation};
use super::place;

/// Pauses of a glance, and between two looks at the clock.
const GLANCE: u32 = 32;
/// Looks per PAUSE: until a request comes nobody else writes to the line, so a look costs no more than a
/// hit in the cache, and a request that comes in a PAUSE waits for its end.
const LOOKS: u32 = 32;
/// The longest look: about twice the price of a wake-up.
const LONGEST: Duration = Duration::from_micros(200);
/// The shortest, and the first.
const SHORTEST: Duration = Duration::from_micros(50);
/// A request that comes this soon would come sooner if neither side had slept.
const SOON: Duration = Duration::from_micros(500);

/// Workers that do not sleep in mcctrl.
static UP: AtomicUsize = AtomicUsize::new(0);

/// What a worker has learnt.
pub(super) struct Look {
    budget: Duration,
    expectation: Expectation,
    /// The wait for a request that did not come at once.
    waiting: Option<Waiting>,
}

/// A wait that goes on.
struct Waiting {
    began: Instant,
    /// Times are since then. How long to look before the next sleep.
    until: Duration,
    /// The worker has slept.
    slept: bool,
    /// When the request is due that the worker sleeps, or has slept, until.
    due: Option<Due>,
    /// When it was up again, if it has been woken because a request is due.
    up: Option<Duration>,
}

impl Look {
    /// The first worker of a process, which may be a forked copy of one with many.
    pub(super) fn of_first() -> Self {
        UP.store(0, Ordering::Relaxed);
        Self::new()
    }

    /// A worker that has just begun.
    pub(super) fn new() -> Self {
        UP.fetch_add(1, Ordering::Relaxed);
        Self {
            budget: SHORTEST,
            expectation: Expectation::new(),
            waiting: None,
        }
    }

    /// Looks for a request; `None`: sleep now.
    pub(super) fn look(&mut self, slot: &DelegationSlot) -> Option<Request> {
        if let Some(request) = glance(slot) {
            self.learn();
            return Some(request);
        }
        let waiting = self
            .waiting
            .get_or_insert_with(|| Waiting::begin(self.budget));
        while waiting.goes_on() && UP.load(Ordering::Relaxed) <= place::cpu_count() {
            if let Some(request) = glance(slot) {
                self.learn();
                return Some(request);
            }
        }
        None
    }

    /// Runs `sleep`, in which the worker is not up, with how long it may take; `ETIMEDOUT` says that it took so long.
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

    /// How long to sleep: until the next request is due, or, if that is not known or past, for ever.
    fn sleep_for(&mut self) -> Option<Duration> {
        let waiting = self.waiting.as_mut()?;
        waiting.slept = true;
        if waiting.up.is_some() {
            self.expectation.missed();
            waiting.due = None;
            return None;
        }
        let due = self.expectation.due()?;
        waiting.due = Some(due);
        due.from.checked_sub(waiting.began.elapsed())
    }

    /// It is time for the request that is due.
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

    /// A request came. One that came while the worker was looking for the first time says nothing.
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
            (Some(_), Some(up)) => self.expectation.was_up(waited.saturating_sub(up)),
            (Some(due), None) if waited <= due.until => self.expectation.was_late(),
            _ => {}
        }
        self.expectation.came(waited);
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

    /// Whether to look further.
    fn goes_on(&self) -> bool {
        self.began.elapsed() < self.until
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        UP.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The budget after a sleep: `waited` passed since the look before it began.
fn next_budget(budget: Duration, waited: Duration) -> Duration {
    let next = if waited <= SOON {
        budget * 2
    } else {
        budget / 2
    };
    next.clamp(SHORTEST, LONGEST)
}

fn glance(slot: &DelegationSlot) -> Option<Request> {
    for look in 0..GLANCE * LOOKS {
        if let Some(request) = slot.take() {
            return Some(request);
        }
        if look % LOOKS == LOOKS - 1 {
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
