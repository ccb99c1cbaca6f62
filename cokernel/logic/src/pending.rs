// SPDX-License-Identifier: GPL-2.0
//! Queues of signals that wait for a process or a thread.

use alloc::collections::VecDeque;

use crate::signal_room::{Charge, Room};
use crate::signals::SignalSet;

/// First signal that is queued as often as it is sent.
const FIRST_REALTIME: u32 = 32;

/// `si_code` of signals the kernel makes up.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code` of kill(2).
pub const SI_USER: i32 = 0;
/// `si_code` of timers that timer_create(2) made.
pub const SI_TIMER: i32 = -2;
/// Most expiries that a signal of a timer tells of beyond the first: `DELAYTIMER_MAX`.
pub const MOST_OVERRUNS: u32 = i32::MAX.unsigned_abs();

/// The information about one signal: the used part of Linux's `siginfo_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Signal number.
    pub signal: u32,
    /// `si_errno`: 0 but for what a program says itself.
    pub errno: i32,
    /// `si_code`.
    pub code: i32,
    /// Bytes 16–23: sender's pid and uid, or the faulting address.
    pub first: u64,
    /// Bytes 24–31: the value sent along.
    pub second: u64,
}

impl Info {
    /// The information about the signal of timer `id`, which sends `value` along and has expired once, and
    /// `overrun` times more.
    #[must_use]
    pub fn of_timer(signal: u32, id: u32, value: u64, overrun: u64) -> Self {
        let overrun = overrun.min(u64::from(MOST_OVERRUNS));
        Self {
            signal,
            errno: 0,
            code: SI_TIMER,
            first: u64::from(id) | overrun << 32,
            second: value,
        }
    }

    /// The id and the overruns of the timer, if a timer sent it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
    pub const fn timer(&self) -> Option<(u32, u32)> {
        if self.code == SI_TIMER {
            Some((self.first as u32, (self.first >> 32) as u32))
        } else {
            None
        }
    }

    /// The information about a signal whose sender found no room to say more.
    fn of_unknown(signal: u32) -> Self {
        Self {
            signal,
            ..Self::default()
        }
    }

    /// Whether it is queued over the limit: signals that are not queued twice, unless they were queued
    /// by name.
    const fn overrides_limit(&self) -> bool {
        self.signal < FIRST_REALTIME && self.code >= 0
    }

    /// Whether its sender is not told that there is no room. The signal itself comes all the same.
    const fn may_be_lost(&self) -> bool {
        self.signal < FIRST_REALTIME || self.code == SI_USER
    }
}

/// Signals that wait.
#[derive(Default)]
pub struct Pending {
    queue: VecDeque<Entry>,
    /// Those of the queue, and those whose information was lost.
    set: SignalSet,
}

struct Entry {
    info: Info,
    /// A timer of the process sent it.
    is_expiry: bool,
    _charge: Charge,
}

impl Pending {
    /// The signals that wait.
    #[must_use]
    pub const fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds one. `false`: there is no room for it. A signal that is not queued and waits already needs none.
    pub fn add(&mut self, info: Info, room: &Room) -> bool {
        if info.signal < FIRST_REALTIME && self.set.contains(info.signal) {
            return true;
        }
        let is_queued = self.push(info, room, info.overrides_limit(), false);
        let comes = is_queued || info.may_be_lost();
        if comes {
            self.set.add(info.signal);
        }
        comes
    }

    /// Adds the signal of a timer. If one of the same timer waits, that tells of all the expiries.
    pub fn add_expiry(&mut self, info: Info, room: &Room) {
        let id_of = |info: &Info| info.timer().map(|(id, _)| id);
        let is_same = |entry: &&mut Entry| entry.is_expiry && id_of(&entry.info) == id_of(&info);
        let waiting = self.queue.iter_mut().find(is_same);
        let counts = waiting.and_then(|entry| Some((entry.info.timer()?, info.timer()?, entry)));
        if let Some(((id, before), (_, more), entry)) = counts {
            let overrun = u64::from(before) + 1 + u64::from(more);
            entry.info = Info::of_timer(info.signal, id, info.second, overrun);
        } else {
            // Linux has room for it since the timer was made.
            self.push(info, room, true, true);
            self.set.add(info.signal);
        }
    }

    /// Drops the signal of timer `id`.
    pub fn forget_expiry(&mut self, id: u32) {
        let is_of = |entry: &Entry| {
            entry.is_expiry && entry.info.timer().is_some_and(|(other, _)| other == id)
        };
        if let Some(index) = self.queue.iter().position(is_of) {
            self.remove(index);
        }
    }

    fn push(&mut self, info: Info, room: &Room, must: bool, is_expiry: bool) -> bool {
        let place = self.queue.try_reserve(1).ok();
        let charge = place.and_then(|()| room.take(must));
        let is_queued = charge.is_some();
        self.queue.extend(charge.map(|charge| Entry {
            info,
            is_expiry,
            _charge: charge,
        }));
        is_queued
    }

    /// The first one of the number that `choose` finds among those that wait.
    pub fn take_first(&mut self, choose: impl FnOnce(SignalSet) -> Option<u32>) -> Option<Info> {
        self.take(choose(self.set)?)
    }

    /// The first one of that number.
    fn take(&mut self, signal: u32) -> Option<Info> {
        if !self.set.contains(signal) {
            return None;
        }
        let is_one = |entry: &Entry| entry.info.signal == signal;
        match self.queue.iter().position(is_one) {
            Some(index) => self.remove(index),
            None => {
                self.set.remove(signal);
                Some(Info::of_unknown(signal))
            }
        }
    }

    fn remove(&mut self, index: usize) -> Option<Info> {
        let info = self.queue.remove(index)?.info;
        if !self
            .queue
            .iter()
            .any(|entry| entry.info.signal == info.signal)
        {
            self.set.remove(info.signal);
        }
        Some(info)
    }

    /// Drops all of `signals`.
    pub fn forget(&mut self, signals: SignalSet) {
        self.queue
            .retain(|entry| !signals.contains(entry.info.signal));
        self.set = self.set.without(signals);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::signals::number::{SIGCHLD, SIGHUP, SIGSEGV};

    const RT: u32 = FIRST_REALTIME + 2;
    const SI_QUEUE: i32 = -1;

    fn room(limit: u64) -> Room {
        Room {
            account: Arc::default(),
            limit,
        }
    }

    fn queued(signal: u32) -> Info {
        Info {
            code: SI_QUEUE,
            ..info(signal, 0)
        }
    }

    fn add(pending: &mut Pending, info: Info) -> bool {
        pending.add(info, &room(1))
    }

    fn info(signal: u32, second: u64) -> Info {
        Info {
            signal,
            second,
            ..Info::default()
        }
    }

    fn lowest(set: SignalSet) -> Option<u32> {
        set.first()
    }

    #[test]
    fn a_standard_signal_waits_once_and_the_first_one_is_kept() {
        let mut pending = Pending::default();
        assert!(add(&mut pending, info(SIGCHLD, 1)));
        assert!(add(&mut pending, info(SIGCHLD, 2)), "no room is needed");
        assert_eq!(pending.take_first(lowest), Some(info(SIGCHLD, 1)));
        assert_eq!(pending.take_first(lowest), None);
    }

    #[test]
    fn realtime_signals_come_as_often_and_in_the_order_as_they_were_sent() {
        let mut pending = Pending::default();
        for value in 0..3 {
            assert!(add(&mut pending, info(RT, value)));
        }
        for value in 0..3 {
            assert!(pending.set().contains(RT));
            assert_eq!(pending.take_first(lowest), Some(info(RT, value)));
        }
        assert!(pending.set().is_empty());
    }

    #[test]
    fn the_first_signal_that_is_queued_twice_is_32() {
        let count = |signal| {
            let mut pending = Pending::default();
            for value in 0..2 {
                assert!(add(&mut pending, info(signal, value)));
            }
            core::iter::from_fn(|| pending.take_first(lowest)).count()
        };
        assert_eq!((count(31), count(32), count(64)), (1, 2, 2));
    }

    #[test]
    fn who_takes_chooses_by_number_not_by_age() {
        let mut pending = Pending::default();
        for signal in [RT, SIGSEGV, SIGHUP] {
            assert!(add(&mut pending, info(signal, 0)));
        }
        let taken = |pending: &mut Pending| pending.take_first(lowest).map(|info| info.signal);
        assert_eq!(taken(&mut pending), Some(SIGHUP));
        assert_eq!(taken(&mut pending), Some(SIGSEGV));
        assert_eq!(taken(&mut pending), Some(RT));
    }

    #[test]
    fn a_choice_that_does_not_wait_takes_nothing() {
        let mut pending = Pending::default();
        assert!(add(&mut pending, info(SIGHUP, 0)));
        assert_eq!(pending.take_first(|_| Some(SIGSEGV)), None);
        assert_eq!(pending.take_first(|_| None), None);
        assert!(pending.set().contains(SIGHUP));
    }

    #[test]
    fn beyond_the_limit_realtime_signals_are_refused_and_others_say_less() {
        let (mut pending, room) = (Pending::default(), room(1));
        assert!(pending.add(queued(RT), &room));
        assert!(!pending.add(queued(RT), &room));
        assert!(!pending.add(queued(RT + 1), &room));
        assert!(!pending.set().contains(RT + 1));
        assert!(
            pending.add(queued(SIGHUP), &room),
            "without its information"
        );
        assert_eq!(pending.take_first(lowest), Some(info(SIGHUP, 0)));
        assert!(
            pending.add(info(SIGCHLD, 7), &room),
            "room for the kernel's own"
        );
        assert_eq!(pending.take_first(lowest), Some(info(SIGCHLD, 7)));
        assert!(pending.add(info(RT + 2, 7), &room), "kill(2) says nothing");
        assert_eq!(pending.take_first(lowest), Some(queued(RT)));
        assert_eq!(pending.take_first(lowest), Some(info(RT + 2, 0)));
        assert!(pending.set().is_empty() && pending.add(queued(RT), &room));
    }

    #[test]
    fn one_signal_tells_of_all_expiries_of_a_timer() {
        let (mut pending, room) = (Pending::default(), room(0));
        let of = |id, overrun| Info::of_timer(SIGHUP, id, 5, overrun);
        for (id, overrun) in [(1, 0), (2, 0), (1, 3), (1, 0)] {
            pending.add_expiry(of(id, overrun), &room);
        }
        assert_eq!(pending.take_first(lowest), Some(of(1, 5)));
        assert_eq!(pending.take_first(lowest), Some(of(2, 0)));
        assert_eq!(pending.take_first(lowest), None);
    }

    #[test]
    fn overruns_are_counted_up_to_delaytimer_max() {
        let (mut pending, room) = (Pending::default(), room(0));
        for _ in 0..3 {
            pending.add_expiry(
                Info::of_timer(RT, 1, 0, u64::from(MOST_OVERRUNS) - 1),
                &room,
            );
        }
        let taken = pending.take_first(lowest).and_then(|info| info.timer());
        assert_eq!(taken, Some((1, MOST_OVERRUNS)));
    }

    #[test]
    fn what_a_process_says_is_no_expiry() {
        let (mut pending, room) = (Pending::default(), room(9));
        let forged = Info::of_timer(RT, 1, 0, 0);
        assert!(pending.add(forged, &room));
        pending.add_expiry(Info::of_timer(RT, 1, 0, 1), &room);
        pending.forget_expiry(1);
        assert_eq!(pending.take_first(lowest), Some(forged));
        assert_eq!(pending.take_first(lowest), None);
    }

    #[test]
    fn what_is_forgotten_is_gone_and_the_rest_is_not() {
        let mut pending = Pending::default();
        for signal in [RT, SIGHUP, RT, SIGSEGV] {
            assert!(add(&mut pending, info(signal, 0)));
        }
        pending.forget(SignalSet::of(RT).union(SignalSet::of(SIGHUP)));
        assert_eq!(pending.set(), SignalSet::of(SIGSEGV));
        assert_eq!(pending.take_first(lowest), Some(info(SIGSEGV, 0)));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u32),
        Take(u64),
        Forget(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (30..36u32).prop_map(Step::Add),
            3 => any::<u64>().prop_map(Step::Take),
            1 => any::<u64>().prop_map(Step::Forget),
        ]
    }

    proptest! {
        #[test]
        fn a_plain_list_says_the_same(steps in proptest::collection::vec(step(), 0..100)) {
            let mut pending = Pending::default();
            let mut model: Vec<Info> = Vec::new();
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Add(signal) => {
                        let is_twice = model.iter().any(|info| info.signal == signal);
                        if signal >= FIRST_REALTIME || !is_twice {
                            model.push(info(signal, number));
                        }
                        prop_assert!(add(&mut pending, info(signal, number)));
                    }
                    Step::Take(wanted) => {
                        let wanted = |set: SignalSet| SignalSet(set.0 & wanted).first();
                        let set = model.iter().fold(SignalSet::EMPTY, |set, info| {
                            set.union(SignalSet::of(info.signal))
                        });
                        let index = wanted(set)
                            .and_then(|it| model.iter().position(|info| info.signal == it));
                        let expected = index.map(|index| model.remove(index));
                        prop_assert_eq!(pending.take_first(wanted), expected);
                    }
                    Step::Forget(set) => {
                        model.retain(|info| !SignalSet(set).contains(info.signal));
                        pending.forget(SignalSet(set));
                    }
                }
                for signal in 1..=64 {
                    let waits = model.iter().any(|info| info.signal == signal);
                    prop_assert_eq!(pending.set().contains(signal), waits);
                }
            }
        }
    }
}
