// SPDX-License-Identifier: GPL-2.0
//! Sets of signals, default actions, and which pending signal is delivered next.

/// Highest signal number.
pub const SIGNALS: u32 = 64;

/// Signal numbers the co-kernel itself needs, as on Linux x86.
#[allow(missing_docs, reason = "the names are POSIX's")]
pub mod number {
    pub const SIGHUP: u32 = 1;
    pub const SIGQUIT: u32 = 3;
    pub const SIGILL: u32 = 4;
    pub const SIGTRAP: u32 = 5;
    pub const SIGABRT: u32 = 6;
    pub const SIGBUS: u32 = 7;
    pub const SIGFPE: u32 = 8;
    pub const SIGKILL: u32 = 9;
    pub const SIGSEGV: u32 = 11;
    pub const SIGPIPE: u32 = 13;
    pub const SIGALRM: u32 = 14;
    pub const SIGCHLD: u32 = 17;
    pub const SIGCONT: u32 = 18;
    pub const SIGSTOP: u32 = 19;
    pub const SIGTSTP: u32 = 20;
    pub const SIGTTIN: u32 = 21;
    pub const SIGTTOU: u32 = 22;
    pub const SIGURG: u32 = 23;
    pub const SIGXCPU: u32 = 24;
    pub const SIGXFSZ: u32 = 25;
    pub const SIGVTALRM: u32 = 26;
    pub const SIGPROF: u32 = 27;
    pub const SIGWINCH: u32 = 28;
    pub const SIGSYS: u32 = 31;
}
use number::{
    SIGABRT, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGILL, SIGKILL, SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS,
    SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH, SIGXCPU, SIGXFSZ,
};

/// A set of signals; bit n − 1 is signal n, as in Linux's `sigset_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// The signals that no mask can block.
    pub const UNBLOCKABLE: Self = Self(bit(SIGKILL) | bit(SIGSTOP));
    /// The signals that stop a process by default: sent, they take back a SIGCONT that waits, and it takes back
    /// them.
    pub const STOP: Self = Self(bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU));
    /// Raised by the thread's own instructions; delivered before all others.
    pub const SYNCHRONOUS: Self =
        Self(bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGFPE) | bit(SIGSYS));

    /// Only `signal`; nothing for numbers that are no signal.
    #[must_use]
    pub const fn of(signal: u32) -> Self {
        Self(bit(signal))
    }

    /// Whether `signal` is in the set; false for numbers that are no signal.
    #[must_use]
    pub const fn contains(self, signal: u32) -> bool {
        self.0 & bit(signal) != 0
    }

    /// Adds `signal`.
    pub fn add(&mut self, signal: u32) {
        self.0 |= bit(signal);
    }

    /// Removes `signal`.
    pub fn remove(&mut self, signal: u32) {
        self.0 &= !bit(signal);
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The signals that are in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The waiting signals that a signal takes back when it is sent: stopping and continuing undo each
    /// other.
    #[must_use]
    pub const fn undone_by(signal: u32) -> Self {
        if signal == SIGCONT {
            Self::STOP
        } else if Self::STOP.contains(signal) {
            Self::of(SIGCONT)
        } else {
            Self::EMPTY
        }
    }

    /// The lowest signal of the set.
    #[must_use]
    pub fn first(self) -> Option<u32> {
        (self.0 != 0).then(|| self.0.trailing_zeros() + 1)
    }

    /// Of these pending signals, the one to deliver next under `mask`: synchronous ones first,
    /// then the lowest number.
    #[must_use]
    pub fn next_deliverable(self, mask: Self) -> Option<u32> {
        let ready = self.without(mask.without(Self::UNBLOCKABLE));
        Self(ready.0 & Self::SYNCHRONOUS.0)
            .first()
            .or_else(|| ready.first())
    }
}

const fn bit(signal: u32) -> u64 {
    if signal == 0 || signal > SIGNALS {
        0
    } else {
        1 << (signal - 1)
    }
}

/// Whether `signal` is a signal number.
#[must_use]
pub const fn is_valid(signal: u32) -> bool {
    signal != 0 && signal <= SIGNALS
}

/// The default action of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// It ends.
    Terminate,
    /// Nothing.
    Ignore,
    /// It stops.
    Stop,
    /// It continues if it was stopped.
    Continue,
}

/// Linux's default action of `signal`.
#[must_use]
pub const fn default_action(signal: u32) -> DefaultAction {
    match signal {
        SIGCHLD | SIGURG | SIGWINCH => DefaultAction::Ignore,
        SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU => DefaultAction::Stop,
        SIGCONT => DefaultAction::Continue,
        _ => DefaultAction::Terminate,
    }
}

/// Whether `signal` by default leaves a core when it ends a process.
#[must_use]
pub const fn leaves_core(signal: u32) -> bool {
    matches!(
        signal,
        SIGQUIT
            | SIGILL
            | SIGTRAP
            | SIGABRT
            | SIGBUS
            | SIGFPE
            | SIGSEGV
            | SIGXCPU
            | SIGXFSZ
            | SIGSYS
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::number::SIGHUP;
    use super::*;

    #[test]
    fn synchronous_signals_come_first() {
        let mut pending = SignalSet::EMPTY;
        pending.add(SIGHUP);
        pending.add(SIGSEGV);
        assert_eq!(pending.next_deliverable(SignalSet::EMPTY), Some(SIGSEGV));
        pending.remove(SIGSEGV);
        assert_eq!(pending.next_deliverable(SignalSet::EMPTY), Some(SIGHUP));
    }

    #[test]
    fn stopping_and_continuing_undo_each_other() {
        assert_eq!(SignalSet::undone_by(SIGCONT), SignalSet::STOP);
        assert_eq!(SignalSet::undone_by(SIGTSTP), SignalSet::of(SIGCONT));
        assert!(SignalSet::undone_by(SIGHUP).is_empty());
    }

    #[test]
    fn kill_and_stop_cannot_be_blocked() {
        let mut pending = SignalSet::EMPTY;
        pending.add(SIGKILL);
        pending.add(SIGHUP);
        assert_eq!(pending.next_deliverable(SignalSet(u64::MAX)), Some(SIGKILL));
        pending.remove(SIGKILL);
        assert_eq!(pending.next_deliverable(SignalSet(u64::MAX)), None);
    }

    #[test]
    fn numbers_that_are_no_signal_are_never_members() {
        let mut set = SignalSet::EMPTY;
        set.add(0);
        set.add(65);
        assert!(set.is_empty());
        set.add(64);
        assert!(set.contains(64) && !set.contains(65) && !set.contains(0));
    }

    #[test]
    fn realtime_signals_terminate_by_default() {
        assert_eq!(default_action(64), DefaultAction::Terminate);
        assert_eq!(default_action(SIGCHLD), DefaultAction::Ignore);
    }
}
