// SPDX-License-Identifier: GPL-2.0
//! Queues of signals that wait for a process or a thread.

use alloc::collections::VecDeque;

use crate::signals::SignalSet;

/// Most queued signals of one process or thread, beyond those that are not queued twice.
const MAX_QUEUED: usize = 4096;
/// First signal that is queued as often as it is sent.
const FIRST_REALTIME: u32 = 32;

/// `si_code` of signals the kernel makes up.
pub const SI_KERNEL: i32 = 0x80;

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

/// Signals that wait.
#[derive(Default)]
pub struct Pending {
    queue: VecDeque<Info>,
    /// Those of the queue.
    set: SignalSet,
}

impl Pending {
    /// The signals that wait.
    #[must_use]
    pub const fn set(&self) -> SignalSet {
        self.set
    }

    /// Adds one. Whether there was room. A signal that is not queued and waits already needs none.
    pub fn add(&mut self, info: Info) -> bool {
        if info.signal < FIRST_REALTIME && self.set.contains(info.signal) {
            return true;
        }
        let few = info.signal < FIRST_REALTIME || self.queue.len() < MAX_QUEUED;
        let room = few && self.queue.try_reserve(1).is_ok();
        if room {
            self.queue.push_back(info);
            self.set.add(info.signal);
        }
        room
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
        let index = self.queue.iter().position(|info| info.signal == signal)?;
        let info = self.queue.remove(index);
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set.remove(signal);
        }
        info
    }

    /// Drops all of `signals`.
    pub fn forget(&mut self, signals: SignalSet) {
        self.queue.retain(|info| !signals.contains(info.signal));
        self.set = self.set.without(signals);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::signals::number::{SIGCHLD, SIGHUP, SIGSEGV};

    const RT: u32 = FIRST_REALTIME + 2;

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
        assert!(pending.add(info(SIGCHLD, 1)));
        assert!(pending.add(info(SIGCHLD, 2)), "no room is needed");
        assert_eq!(pending.take_first(lowest), Some(info(SIGCHLD, 1)));
        assert_eq!(pending.take_first(lowest), None);
    }

    #[test]
    fn realtime_signals_come_as_often_and_in_the_order_as_they_were_sent() {
        let mut pending = Pending::default();
        for value in 0..3 {
            assert!(pending.add(info(RT, value)));
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
                assert!(pending.add(info(signal, value)));
            }
            core::iter::from_fn(|| pending.take_first(lowest)).count()
        };
        assert_eq!((count(31), count(32), count(64)), (1, 2, 2));
    }

    #[test]
    fn who_takes_chooses_by_number_not_by_age() {
        let mut pending = Pending::default();
        for signal in [RT, SIGSEGV, SIGHUP] {
            assert!(pending.add(info(signal, 0)));
        }
        let taken = |pending: &mut Pending| pending.take_first(lowest).map(|info| info.signal);
        assert_eq!(taken(&mut pending), Some(SIGHUP));
        assert_eq!(taken(&mut pending), Some(SIGSEGV));
        assert_eq!(taken(&mut pending), Some(RT));
    }

    #[test]
    fn a_choice_that_does_not_wait_takes_nothing() {
        let mut pending = Pending::default();
        assert!(pending.add(info(SIGHUP, 0)));
        assert_eq!(pending.take_first(|_| Some(SIGSEGV)), None);
        assert_eq!(pending.take_first(|_| None), None);
        assert!(pending.set().contains(SIGHUP));
    }

    #[test]
    fn a_full_queue_refuses_realtime_signals_only() {
        let mut pending = Pending::default();
        for _ in 0..MAX_QUEUED {
            assert!(pending.add(info(RT, 0)));
        }
        assert!(!pending.add(info(RT, 0)));
        assert!(!pending.add(info(RT + 1, 0)));
        assert!(!pending.set().contains(RT + 1));
        assert!(
            pending.add(info(SIGHUP, 0)),
            "a standard one always finds room"
        );
    }

    #[test]
    fn what_is_forgotten_is_gone_and_the_rest_is_not() {
        let mut pending = Pending::default();
        for signal in [RT, SIGHUP, RT, SIGSEGV] {
            assert!(pending.add(info(signal, 0)));
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
                        prop_assert!(pending.add(info(signal, number)));
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
