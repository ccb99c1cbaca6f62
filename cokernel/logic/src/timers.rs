// SPDX-License-Identifier: GPL-2.0
//! The timers of one CPU: threads at times, the end of a slice, the next look at CPU time.
//!
//! Times are nanoseconds of one clock that never goes back.

use alloc::collections::BTreeMap;

/// No time.
pub const NEVER: u64 = u64::MAX;

/// See the module documentation; `T` is who waits.
pub struct Timers<T> {
    /// By time, then by number.
    waiting: BTreeMap<Key, T>,
    /// End of the running thread's slice.
    slice_end: u64,
    /// The time at which the CPU time of the running thread's process is to be looked at.
    look_at: u64,
    /// The time at which the hardware fires.
    armed: u64,
    next_number: u64,
}

/// The name of an order to wake somebody; no two are alike on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    deadline: u64,
    number: u64,
}

/// Events other than threads that have come to their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The running thread's slice is over.
    pub slice: bool,
    /// The CPU time of the running thread's process is to be looked at.
    pub look: bool,
}

impl<T> Timers<T> {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            slice_end: NEVER,
            look_at: NEVER,
            armed: NEVER,
            next_number: 0,
        }
    }

    /// `who` is to be woken at `deadline`.
    #[inline]
    pub fn add(&mut self, deadline: u64, who: T) -> Key {
        let key = Key {
            deadline,
            number: self.next_number,
        };
        self.next_number += 1;
        self.waiting.insert(key, who);
        key
    }

    /// Takes an order back. `None` if its time has come already.
    #[inline]
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        self.waiting.remove(&key)
    }

    /// The running thread's slice ends at `end`.
    #[inline]
    pub fn set_slice(&mut self, end: u64) {
        self.slice_end = end;
    }

    /// CPU time is looked at at `time`, or earlier if that was ordered before. Whether this is earlier.
    #[inline]
    pub fn look_at(&mut self, time: u64) -> bool {
        let is_earlier = time < self.look_at;
        if is_earlier {
            self.look_at = time;
        }
        is_earlier
    }

    /// The hardware has fired: takes what is due at `now` but for who waits, whom [`Self::pop_due`] gives out.
    #[inline]
    pub fn take_due(&mut self, now: u64) -> Due {
        self.armed = NEVER;
        let due = Due {
            slice: self.slice_end <= now,
            look: self.look_at <= now,
        };
        if due.slice {
            self.slice_end = NEVER;
        }
        if due.look {
            self.look_at = NEVER;
        }
        due
    }

    /// The next one who is to be woken at `now`, by time and then in the order of their coming.
    #[inline]
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        let first = self.waiting.first_entry();
        let due = first.filter(|entry| entry.key().deadline <= now);
        due.map(|entry| entry.remove())
    }

    /// Those who wait, by time.
    pub fn waiting(&self) -> impl Iterator<Item = &T> {
        self.waiting.values()
    }

    /// The earliest time wanted; [`NEVER`] if there is none.
    #[must_use]
    #[inline]
    pub fn next(&self) -> u64 {
        let first = self.waiting.first_key_value();
        let first = first.map_or(NEVER, |(key, _)| key.deadline);
        first.min(self.slice_end).min(self.look_at)
    }
}

impl<T> Timers<T> {
    /// The time for which the hardware is to be armed, in place of a later one, if it is not already.
    #[inline]
    pub fn arm(&mut self) -> Option<u64> {
        let next = self.next();
        let is_earlier = next < self.armed;
        if is_earlier {
            self.armed = next;
        }
        is_earlier.then_some(next)
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn all_due<T>(timers: &mut Timers<T>, now: u64) -> Vec<T> {
        core::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    #[test]
    fn nobody_waits_at_first() {
        let mut timers = Timers::<u32>::new();
        assert_eq!(timers.next(), NEVER);
        assert_eq!(timers.pop_due(NEVER - 1), None);
        let due = timers.take_due(NEVER - 1);
        assert!(!due.slice && !due.look);
    }

    #[test]
    fn who_waits_is_woken_at_the_time_and_not_before() {
        let mut timers = Timers::new();
        timers.add(100, 'a');
        assert_eq!(timers.next(), 100);
        assert_eq!(timers.pop_due(99), None);
        assert_eq!(timers.pop_due(100), Some('a'));
        assert_eq!(timers.pop_due(100), None);
        assert_eq!(timers.next(), NEVER);
    }

    #[test]
    fn equal_times_wake_in_the_order_of_coming() {
        let mut timers = Timers::new();
        for who in 0..5 {
            timers.add(10, who);
        }
        timers.add(9, 9);
        assert_eq!(all_due(&mut timers, 10), [9, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn who_has_cancelled_is_not_woken_and_nobody_else_is_forgotten() {
        let mut timers = Timers::new();
        let first = timers.add(10, 'a');
        timers.add(10, 'b');
        assert!(timers.waiting().eq(&['a', 'b']));
        assert_eq!(timers.cancel(first), Some('a'));
        assert_eq!(timers.cancel(first), None);
        assert_eq!(all_due(&mut timers, 10), ['b']);
    }

    #[test]
    fn a_cancel_after_the_time_says_that_it_came() {
        let mut timers = Timers::new();
        let key = timers.add(10, 'a');
        assert_eq!(timers.pop_due(20), Some('a'));
        assert_eq!(timers.cancel(key), None);
    }

    #[test]
    fn a_slice_ends_once_and_when_the_last_who_set_it_said() {
        let mut timers = Timers::<()>::new();
        timers.set_slice(30);
        timers.set_slice(50);
        assert_eq!(timers.next(), 50);
        assert!(!timers.take_due(49).slice);
        assert!(timers.take_due(50).slice);
        assert!(!timers.take_due(51).slice, "it ends once");
        timers.set_slice(90);
        assert_eq!(timers.next(), 90);
    }

    #[test]
    fn the_hardware_is_armed_only_for_what_is_earlier() {
        let mut timers = Timers::new();
        assert_eq!(timers.arm(), None);
        let key = timers.add(50, ());
        assert_eq!(timers.arm(), Some(50));
        timers.set_slice(60);
        assert_eq!(timers.arm(), None, "it fires before that");
        timers.set_slice(40);
        assert_eq!(timers.arm(), Some(40));
        timers.cancel(key);
        timers.set_slice(70);
        assert_eq!(timers.arm(), None);
        assert!(!timers.take_due(40).slice);
        assert_eq!(timers.arm(), Some(70), "it has fired");
    }

    #[test]
    fn the_earliest_look_counts() {
        let mut timers = Timers::<()>::new();
        assert!(timers.look_at(50));
        assert!(!timers.look_at(60));
        assert!(!timers.look_at(50));
        assert!(timers.look_at(40));
        assert_eq!(timers.next(), 40);
        let due = timers.take_due(45);
        assert!(due.look && !due.slice);
        assert_eq!(timers.next(), NEVER);
    }

    #[test]
    fn the_hardware_is_set_to_whatever_comes_first() {
        let mut timers = Timers::new();
        timers.add(30, ());
        timers.set_slice(20);
        assert!(timers.look_at(10));
        assert_eq!(timers.next(), 10);
        timers.take_due(10);
        assert_eq!(timers.next(), 20);
        timers.take_due(20);
        assert_eq!(timers.next(), 30);
    }

    #[test]
    fn a_look_at_no_time_is_none() {
        let mut timers = Timers::<()>::new();
        assert!(!timers.look_at(NEVER));
        assert_eq!(timers.next(), NEVER);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64),
        Cancel(usize),
        Pop(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..50u64).prop_map(Step::Add),
            any::<usize>().prop_map(Step::Cancel),
            (0..50u64).prop_map(Step::Pop),
        ]
    }

    proptest! {
        #[test]
        fn a_sorted_list_says_the_same(steps in proptest::collection::vec(step(), 0..80)) {
            let mut timers = Timers::new();
            let mut keys = Vec::new();
            let mut model: Vec<(u64, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Add(deadline) => {
                        let who = keys.len();
                        keys.push(timers.add(deadline, who));
                        model.push((deadline, who));
                    }
                    Step::Cancel(which) if !keys.is_empty() => {
                        let who = which % keys.len();
                        let index = model.iter().position(|(_, it)| *it == who);
                        let expected = index.map(|index| model.remove(index).1);
                        prop_assert_eq!(timers.cancel(keys[who]), expected);
                    }
                    Step::Cancel(_) => {}
                    Step::Pop(now) => {
                        let due = model.iter().filter(|(time, _)| *time <= now).min().copied();
                        model.retain(|it| Some(*it) != due);
                        prop_assert_eq!(timers.pop_due(now), due.map(|(_, who)| who));
                    }
                }
                let next = model.iter().map(|(time, _)| *time).min();
                prop_assert_eq!(timers.next(), next.unwrap_or(NEVER));
            }
        }
    }
}
