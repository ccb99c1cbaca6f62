// SPDX-License-Identifier: GPL-2.0
//! How long a worker looks for the next request before it sleeps.
//!
//! Looking costs Linux's CPU, sleeping costs a wake-up. A glance is always taken: a thread that asks
//! again at once is answered without either side sleeping, also when many workers share few CPUs,
//! so that a worker serves its thread in bursts. Beyond the glance each worker learns from its own
//! past, as KVM's halt polling does: if a request came soon after it had gone to sleep it looks
//! longer next time, if it came late it looks shorter. While more workers are up than Linux has CPUs
//! for them, looking would take the CPU from somebody's call, so there is nothing but the glance.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ihk_ikc::slot::{DelegationSlot, Request};

use super::place;

/// Looks of a glance, and between two looks at the clock.
const GLANCE: u32 = 64;
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
    /// When it began to look for the request that did not come in time.
    began: Option<Instant>,
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
            began: None,
        }
    }

    /// Looks for a request; `None`: sleep now.
    pub(super) fn look(&mut self, slot: &DelegationSlot) -> Option<Request> {
        if let Some(request) = glance(slot) {
            self.learn();
            return Some(request);
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        while began.elapsed() < self.budget && UP.load(Ordering::Relaxed) <= place::cpu_count() {
            if let Some(request) = glance(slot) {
                self.began = None;
                return Some(request);
            }
        }
        None
    }

    /// Runs `sleep`, in which the worker is not up.
    pub(super) fn asleep<T>(sleep: impl FnOnce() -> T) -> T {
        UP.fetch_sub(1, Ordering::Relaxed);
        let result = sleep();
        UP.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// A request came after a sleep, if there was one.
    fn learn(&mut self) {
        if let Some(began) = self.began.take() {
            self.budget = next_budget(self.budget, began.elapsed());
        }
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
    for _ in 0..GLANCE {
        if let Some(request) = slot.take() {
            return Some(request);
        }
        spin_loop();
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
