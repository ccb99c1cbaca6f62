// SPDX-License-Identifier: GPL-2.0
//! When the next request of a program comes that asks at regular intervals, as a simulation does that
//! writes a line each step.
//!
//! A worker that has gone to sleep since nobody asked costs the next call a wake-up. If the last few
//! pauses were alike, it has itself woken a little earlier than the next request is due, and looks for it. How
//! much earlier is learnt, too: more, if a request came before the worker was up, less, if the worker
//! had to look for long. A request that does not come when it is due ends this until pauses are alike again. So looking
//! costs a third of a CPU's time at most while the pattern holds, and once, for less than
//! [`LONGEST_LEAD`] and a half, when it ends.

use std::time::Duration;

/// How many pauses must have been alike.
const TRUSTED: u32 = 3;
/// How much earlier than expected the worker wants to be up, at first: more than a wake-up takes.
const FIRST_LEAD: Duration = Duration::from_micros(200);
/// The least of it, about the jitter of a timer.
const SHORTEST_LEAD: Duration = Duration::from_micros(50);
/// The most of it.
const LONGEST_LEAD: Duration = Duration::from_micros(400);
/// Shorter pauses are for looking, or for sleeping, all the time.
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);

/// What a worker expects. All times are since it began to wait.
pub(super) struct Expectation {
    /// How long the program pauses: a mean that forgets.
    pause: Duration,
    /// How much earlier the worker wants to be up.
    lead: Duration,
    /// How many pauses in a row were alike.
    alike: u32,
}

/// The time in which a request is expected.
#[derive(Clone, Copy)]
pub(super) struct Due {
    /// The worker should be up.
    pub(super) from: Duration,
    /// The request is not coming.
    pub(super) until: Duration,
}

impl Expectation {
    /// Of a worker that knows nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            pause: Duration::ZERO,
            lead: FIRST_LEAD,
            alike: 0,
        }
    }

    /// When the next request is due, if that can be told and is worth looking.
    pub(super) fn due(&self) -> Option<Due> {
        let is_worth_it = self.alike >= TRUSTED && self.pause >= SHORTEST_PAUSE;
        is_worth_it.then(|| {
            // Before and after, a third of a pause.
            let lead = self.lead.min(self.pause * 2 / 9);
            Due {
                from: self.pause - lead,
                until: self.pause + lead / 2,
            }
        })
    }

    /// A request came `waited` after the worker had begun to wait, and it had slept.
    pub(super) fn came(&mut self, waited: Duration) {
        if waited.abs_diff(self.pause) <= self.lead {
            self.alike = self.alike.saturating_add(1);
        } else {
            self.alike = 0;
        }
        // What is much longer says that the program has stopped, not how long it pauses.
        let counted = waited.min(self.pause * 2 + LONGEST_LEAD);
        self.pause = (self.pause * 3 + counted) / 4;
    }

    /// The request that was due came before the worker was up.
    pub(super) fn was_late(&mut self) {
        self.lead = (self.lead * 5 / 4).min(LONGEST_LEAD);
    }

    /// The worker was up for `looked` when the request came.
    pub(super) fn was_up(&mut self, looked: Duration) {
        if looked > self.lead / 2 {
            self.lead = (self.lead * 15 / 16).max(SHORTEST_LEAD);
        }
    }

    /// The request that was due did not come.
    pub(super) fn missed(&mut self) {
        self.alike = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectation, LONGEST_LEAD, TRUSTED};
    use std::time::Duration;

    /// What a wake-up takes, by a timer or a request.
    const WAKE_UP: Duration = Duration::from_micros(90);

    /// How many of `pauses` ended with the worker awake, and how long it looked altogether.
    fn play(pauses: impl Iterator<Item = u64>) -> (u32, Duration) {
        let mut expectation = Expectation::new();
        let (mut awake, mut looked) = (0, Duration::ZERO);
        for pause in pauses.map(Duration::from_micros) {
            let asleep = expectation
                .due()
                .map_or(Duration::MAX, |due| due.from + WAKE_UP);
            let until = expectation.due().map_or(Duration::ZERO, |due| due.until);
            if pause < asleep {
                if until != Duration::ZERO {
                    expectation.was_late();
                }
                expectation.came(pause + WAKE_UP);
            } else if pause <= until {
                awake += 1;
                looked += pause - asleep;
                expectation.was_up(pause - asleep);
                expectation.came(pause);
            } else {
                looked += until.saturating_sub(asleep);
                expectation.missed();
                expectation.came(pause + WAKE_UP);
            }
        }
        (awake, looked)
    }

    /// 0 to `below`, always the same.
    fn random(below: u64) -> impl FnMut() -> u64 {
        let mut state = 1_u64;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[test]
    fn regular_requests_find_the_worker_awake() {
        let mut jitter = random(60);
        let (awake, looked) = play((0..1000).map(|_| 1000 + jitter()));
        assert!(awake > 900, "{awake}");
        assert!(
            looked < Duration::from_micros(1000 * 1000 / 3),
            "{looked:?}"
        );
    }

    #[test]
    fn a_pause_now_and_then_costs_a_few_requests_only() {
        let (awake, _) = play((0..1000).map(|n| if n % 100 == 0 { 50_000 } else { 2000 }));
        assert!(awake > 800, "{awake}");
    }

    #[test]
    fn irregular_requests_cost_next_to_nothing() {
        let mut pause = random(10_000);
        let pauses: Vec<u64> = (0..1000).map(|_| 500 + pause()).collect();
        let whole = Duration::from_micros(pauses.iter().sum());
        let (_, looked) = play(pauses.into_iter());
        assert!(looked < whole / 100, "{looked:?} of {whole:?}");
    }

    #[test]
    fn a_program_that_stops_is_looked_for_once() {
        let mut expectation = Expectation::new();
        for _ in 0..20 {
            expectation.came(Duration::from_millis(2));
        }
        let due = expectation.due().expect("2 ms, always");
        assert!(due.until - due.from <= LONGEST_LEAD * 3 / 2);
        expectation.missed();
        assert!(expectation.due().is_none());
        for _ in 0..TRUSTED {
            assert!(expectation.due().is_none());
            expectation.came(Duration::from_millis(2));
        }
        assert!(expectation.due().is_some(), "alike again");
    }

    #[test]
    fn short_pauses_are_not_worth_it() {
        let mut expectation = Expectation::new();
        for _ in 0..20 {
            expectation.came(Duration::from_micros(300));
        }
        assert!(expectation.due().is_none());
    }
}
