// SPDX-License-Identifier: GPL-2.0
//! Timers that run while a process does, and its limit of CPU time: when which signal is due.

use crate::signals::number::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};

const NS_PER_S: u64 = 1_000_000_000;
/// Later than any CPU time.
const NEVER: u64 = u64::MAX;

/// The clocks, in the order of their numbers on Linux (minus one).
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// ITIMER_VIRTUAL.
    Virtual,
    /// ITIMER_PROF.
    Profiling,
}

/// Times of a timer, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// From one signal to the next; 0 = there is no next.
    pub interval: u64,
    /// Until the next signal; 0 = off.
    pub left: u64,
}

#[derive(Clone, Copy, Default)]
struct Timer {
    interval: u64,
    /// CPU time of the process at which it strikes; 0 = off.
    end: u64,
}

impl Timer {
    /// Whether it is due at `now`; then it begins anew.
    fn strike(&mut self, now: u64) -> bool {
        let due = self.end != 0 && self.end <= now;
        if due {
            self.end = match self.interval {
                0 => 0,
                interval => now.saturating_add(interval),
            };
        }
        due
    }
}

/// RLIMIT_CPU, as CPU time of the process in ns; [`NEVER`]: no limit.
#[derive(Clone, Copy)]
struct Limit {
    /// SIGXCPU comes, and again each second.
    soft: u64,
    /// SIGKILL comes.
    hard: u64,
}

/// The timers of a process.
#[derive(Clone, Copy)]
pub struct CpuTimers {
    /// By [`Which`].
    intervals: [Timer; 2],
    limit: Limit,
}

impl Limit {
    fn of([soft, hard]: [u64; 2]) -> Self {
        // Linux ends a process whose limit is 0 as if it was one second.
        let ns = |seconds: u64| seconds.max(1).saturating_mul(NS_PER_S);
        Self {
            soft: ns(soft),
            hard: ns(hard),
        }
    }

    /// The signal that is due at `now`.
    fn strike(&mut self, now: u64) -> Option<u32> {
        if now >= self.hard {
            return Some(SIGKILL);
        }
        (now >= self.soft).then(|| {
            self.soft = self.soft.saturating_add(NS_PER_S);
            SIGXCPU
        })
    }
}

impl CpuTimers {
    /// No timer; RLIMIT_CPU is `limit`, soft and hard, in seconds.
    #[must_use]
    pub fn limited(limit: [u64; 2]) -> Self {
        Self {
            intervals: Default::default(),
            limit: Limit::of(limit),
        }
    }

    /// CPU time at which something is due.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let ends = self.intervals.iter().map(|timer| timer.end);
        let limits = [self.limit.soft, self.limit.hard];
        ends.filter(|end| *end != 0)
            .chain(limits.into_iter().filter(|end| *end != NEVER))
            .min()
    }

    /// The rest of a timer when the process has run for `now` ns.
    #[must_use]
    pub fn get(&self, which: Which, now: u64) -> Setting {
        setting(&self.intervals[which as usize], now)
    }

    /// Sets a timer when the process has run for `now` ns; what it was.
    pub fn set(&mut self, which: Which, wanted: Setting, now: u64) -> Setting {
        let timer = &mut self.intervals[which as usize];
        let before = setting(timer, now);
        *timer = Timer {
            interval: wanted.interval,
            end: match wanted.left {
                0 => 0,
                left => now.saturating_add(left),
            },
        };
        before
    }

    /// RLIMIT_CPU is `wanted` from now on, soft and hard, in seconds.
    pub fn limit(&mut self, wanted: [u64; 2]) {
        self.limit = Limit::of(wanted);
    }

    /// The signals that are due at `now`, and when the next one will be.
    pub fn strike(&mut self, now: u64) -> ([Option<u32>; 3], Option<u64>) {
        let [virtual_, profiling] = &mut self.intervals;
        let due = [
            virtual_.strike(now).then_some(SIGVTALRM),
            profiling.strike(now).then_some(SIGPROF),
            self.limit.strike(now),
        ];
        (due, self.next())
    }
}

fn setting(timer: &Timer, now: u64) -> Setting {
    Setting {
        interval: timer.interval,
        left: match timer.end {
            0 => 0,
            end => end.saturating_sub(now).max(1),
        },
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_LIMIT: [u64; 2] = [u64::MAX; 2];

    fn unlimited() -> CpuTimers {
        CpuTimers::limited(NO_LIMIT)
    }

    fn setting_of(interval: u64, left: u64) -> Setting {
        Setting { interval, left }
    }

    fn signals(timers: &mut CpuTimers, now: u64) -> [Option<u32>; 3] {
        timers.strike(now).0
    }

    #[test]
    fn without_timer_and_limit_nothing_is_ever_due() {
        let mut timers = unlimited();
        assert_eq!(timers.next(), None);
        assert_eq!(timers.strike(NEVER - 1), ([None; 3], None));
    }

    #[test]
    fn a_timer_strikes_once_at_its_time() {
        let mut timers = unlimited();
        timers.set(Which::Virtual, setting_of(0, 10), 100);
        assert_eq!(timers.next(), Some(110));
        assert_eq!(signals(&mut timers, 109), [None; 3]);
        assert_eq!(signals(&mut timers, 110), [Some(SIGVTALRM), None, None]);
        assert_eq!(timers.strike(200), ([None; 3], None));
    }

    #[test]
    fn a_timer_with_an_interval_begins_anew_when_it_was_looked_at() {
        let mut timers = unlimited();
        timers.set(Which::Profiling, setting_of(7, 10), 0);
        assert_eq!(signals(&mut timers, 15), [None, Some(SIGPROF), None]);
        assert_eq!(timers.next(), Some(22));
    }

    #[test]
    fn what_is_left_is_never_0_while_the_timer_runs() {
        let mut timers = unlimited();
        assert_eq!(timers.get(Which::Virtual, 5), Setting::default());
        timers.set(Which::Virtual, setting_of(3, 10), 100);
        assert_eq!(timers.get(Which::Virtual, 104), setting_of(3, 6));
        assert_eq!(timers.get(Which::Virtual, 110), setting_of(3, 1));
        assert_eq!(timers.get(Which::Virtual, 500), setting_of(3, 1));
    }

    #[test]
    fn to_set_a_timer_says_what_it_was_and_leaves_the_other_one() {
        let mut timers = unlimited();
        timers.set(Which::Profiling, setting_of(0, 50), 0);
        timers.set(Which::Virtual, setting_of(1, 20), 0);
        let before = timers.set(Which::Virtual, setting_of(0, 0), 5);
        assert_eq!(before, setting_of(1, 15));
        assert_eq!(timers.next(), Some(50));
    }

    #[test]
    fn the_soft_limit_is_said_each_second_and_the_hard_one_kills() {
        let mut timers = CpuTimers::limited([1, 3]);
        let xcpu = [None, None, Some(SIGXCPU)];
        assert_eq!(timers.next(), Some(NS_PER_S));
        assert_eq!(signals(&mut timers, NS_PER_S - 1), [None; 3]);
        assert_eq!(timers.strike(NS_PER_S), (xcpu, Some(2 * NS_PER_S)));
        assert_eq!(timers.strike(2 * NS_PER_S), (xcpu, Some(3 * NS_PER_S)));
        assert_eq!(
            signals(&mut timers, 3 * NS_PER_S),
            [None, None, Some(SIGKILL)]
        );
        assert_eq!(
            signals(&mut timers, 9 * NS_PER_S),
            [None, None, Some(SIGKILL)]
        );
    }

    #[test]
    fn a_limit_of_0_is_one_of_a_second() {
        assert_eq!(CpuTimers::limited([0, 0]).next(), Some(NS_PER_S));
    }

    #[test]
    fn a_limit_too_large_to_count_is_none() {
        assert_eq!(CpuTimers::limited([u64::MAX / 2; 2]).next(), None);
        let mut timers = CpuTimers::limited([1, 1]);
        timers.limit(NO_LIMIT);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn all_that_is_due_comes_at_once() {
        let mut timers = CpuTimers::limited([1, 9]);
        timers.set(Which::Virtual, setting_of(0, 1), 0);
        timers.set(Which::Profiling, setting_of(0, 1), 0);
        let all = [Some(SIGVTALRM), Some(SIGPROF), Some(SIGXCPU)];
        assert_eq!(signals(&mut timers, NS_PER_S), all);
    }

    proptest! {
        #[test]
        fn nothing_is_due_before_the_next_time_and_something_then(
            virtual_ in (0..1000u64, 0..1000u64),
            profiling in (0..1000u64, 0..1000u64),
            soft in 0..3u64,
        ) {
            let mut timers = CpuTimers::limited([soft, u64::MAX]);
            timers.set(Which::Virtual, setting_of(virtual_.0, virtual_.1), 0);
            timers.set(Which::Profiling, setting_of(profiling.0, profiling.1), 0);
            for _ in 0..20 {
                let Some(next) = timers.next() else { break };
                prop_assert_eq!(timers.strike(next - 1), ([None; 3], Some(next)));
                let (due, then) = timers.strike(next);
                prop_assert!(due.iter().any(Option::is_some));
                prop_assert!(then.is_none_or(|then| then > next));
            }
        }

        #[test]
        fn what_was_set_is_read_back(interval in any::<u64>(), left in 1..1_u64 << 60, now in 0..1_u64 << 60) {
            let mut timers = unlimited();
            timers.set(Which::Profiling, setting_of(interval, left), now);
            prop_assert_eq!(timers.get(Which::Profiling, now), setting_of(interval, left));
        }
    }
}
