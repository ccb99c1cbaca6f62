// SPDX-License-Identifier: GPL-2.0
//! Hop 5.2 of a delegated call: a worker that has slept learns the period of its program's
//! requests.
//!
//! Many programs ask at regular intervals: a simulation, for example, writes a line each step. When
//! a worker has gone to sleep because nobody asked, the next call costs a wake-up. If the last few
//! pauses were alike, the worker has itself woken a little before the next request is due, and
//! polls for it. The worker learns how much earlier that must be: more, if a request came before it
//! was up; less, if it had to poll for long. When a request does not come while it is due, the
//! worker expects nothing until pauses are alike again. So polling costs a third of a CPU's time at
//! most while the pattern holds, and when it ends, once less than [`LONGEST_LEAD`] and a half.

use std::time::Duration;

/// The number of pauses that must have been alike.
const TRUSTED: u32 = 3;
/// The time by which the worker wants to be up earlier than expected, at first: more than a wake-up takes.
const FIRST_LEAD: Duration = Duration::from_micros(200);
/// The smallest lead is about the jitter of a timer.
const SHORTEST_LEAD: Duration = Duration::from_micros(50);
/// The largest lead.
const LONGEST_LEAD: Duration = Duration::from_micros(400);
/// In shorter pauses a worker polls, or sleeps, all the time.
const SHORTEST_PAUSE: Duration = Duration::from_micros(500);

/// A worker's knowledge of its program's pauses. All times count from when it began to wait.
pub(super) struct Period {
    /// The length of the program's pauses: a mean in which older pauses count less and less.
    pause: Duration,
    /// The time by which the worker wants to be up earlier.
    lead: Duration,
    /// The number of pauses in a row that were alike.
    alike: u32,
}

/// The time in which a request is expected.
#[derive(Clone, Copy)]
pub(super) struct Due {
    /// The time at which the worker should be up.
    pub(super) from: Duration,
    /// The time at which it is plain that the request is not coming.
    pub(super) until: Duration,
}

impl Period {
    /// Returns what a worker knows that has seen no pause yet.
    pub(super) const fn new() -> Self {
        Self {
            pause: Duration::ZERO,
            lead: FIRST_LEAD,
            alike: 0,
        }
    }

    /// Returns when the next request is due, if that is known and polling for it is worth its
    /// price.
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

    /// Notes that a request came `waited` after the worker had begun to wait, and that it had
    /// slept.
    pub(super) fn came(&mut self, waited: Duration) {
        if waited.abs_diff(self.pause) <= self.lead {
            self.alike = self.alike.saturating_add(1);
        } else {
            self.alike = 0;
        }
        // A pause that is much longer says that the program has stopped, not how long it pauses.
        let counted = waited.min(self.pause * 2 + LONGEST_LEAD);
        self.pause = (self.pause * 3 + counted) / 4;
    }

    /// Notes that the request that was due came before the worker was up.
    pub(super) fn was_late(&mut self) {
        self.lead = (self.lead * 5 / 4).min(LONGEST_LEAD);
    }

    /// Notes that the worker had polled for `polled` when the request came.
    pub(super) fn was_up(&mut self, polled: Duration) {
        if polled > self.lead / 2 {
            self.lead = (self.lead * 15 / 16).max(SHORTEST_LEAD);
        }
    }

    /// Notes that the request that was due did not come.
    pub(super) fn missed(&mut self) {
        self.alike = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Period, LONGEST_LEAD, TRUSTED};
    use std::time::Duration;

    /// The duration of a wake-up, by a timer or a request.
    const WAKE_UP: Duration = Duration::from_micros(90);

    /// Returns how many of `pauses` ended with the worker awake, and how long it polled altogether.
    fn play(pauses: impl Iterator<Item = u64>) -> (u32, Duration) {
        let mut period = Period::new();
        let (mut awake, mut polled) = (0, Duration::ZERO);
        for pause in pauses.map(Duration::from_micros) {
            let asleep = period.due().map_or(Duration::MAX, |due| due.from + WAKE_UP);
            let until = period.due().map_or(Duration::ZERO, |due| due.until);
            if pause < asleep {
                if until != Duration::ZERO {
                    period.was_late();
                }
                period.came(pause + WAKE_UP);
            } else if pause <= until {
                awake += 1;
                polled += pause - asleep;
                period.was_up(pause - asleep);
                period.came(pause);
            } else {
                polled += until.saturating_sub(asleep);
                period.missed();
                period.came(pause + WAKE_UP);
            }
        }
        (awake, polled)
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
        let (awake, polled) = play((0..1000).map(|_| 1000 + jitter()));
        assert!(awake > 900, "{awake}");
        assert!(
            polled < Duration::from_micros(1000 * 1000 / 3),
            "{polled:?}"
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
        let (_, polled) = play(pauses.into_iter());
        assert!(polled < whole / 100, "{polled:?} of {whole:?}");
    }

    #[test]
    fn a_program_that_stops_is_looked_for_once() {
        let mut period = Period::new();
        for _ in 0..20 {
            period.came(Duration::from_millis(2));
        }
        let due = period.due().expect("2 ms, always");
        assert!(due.until - due.from <= LONGEST_LEAD * 3 / 2);
        period.missed();
        assert!(period.due().is_none());
        for _ in 0..TRUSTED {
            assert!(period.due().is_none());
            period.came(Duration::from_millis(2));
        }
        assert!(period.due().is_some(), "alike again");
    }

    #[test]
    fn short_pauses_are_not_worth_it() {
        let mut period = Period::new();
        for _ in 0..20 {
            period.came(Duration::from_micros(300));
        }
        assert!(period.due().is_none());
    }
}
