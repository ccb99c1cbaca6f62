// SPDX-License-Identifier: GPL-2.0
//! Queues of signals that wait for a process or a thread.

use alloc::collections::VecDeque;

use cokernel_logic::signals::SignalSet;

/// Most queued signals of one process or thread, beyond those that are not queued twice.
const MAX_QUEUED: usize = 4096;
/// First signal that is queued as often as it is sent.
const FIRST_REALTIME: u32 = 32;

/// What is known of one signal: the used part of Linux's `siginfo_t`.
#[derive(Clone, Copy, Debug)]
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
pub(super) struct Pending {
    queue: VecDeque<Info>,
    /// Those of the queue.
    pub(super) set: SignalSet,
}

impl Pending {
    /// Whether there was room. A signal that is not queued and waits already needs none.
    pub(super) fn add(&mut self, info: Info) -> bool {
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
    pub(super) fn take_first(
        &mut self,
        choose: impl FnOnce(SignalSet) -> Option<u32>,
    ) -> Option<Info> {
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
    pub(super) fn forget(&mut self, signals: SignalSet) {
        self.queue.retain(|info| !signals.contains(info.signal));
        self.set = self.set.without(signals);
    }
}
