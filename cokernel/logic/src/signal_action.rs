// SPDX-License-Identifier: GPL-2.0
//! Actions of programs for signals: `struct kernel_sigaction` of Linux.

use crate::signals::{default_action, DefaultAction, SignalSet};

/// `SIG_DFL`.
pub const DEFAULT_HANDLER: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE_HANDLER: u64 = 1;

/// Action flags of Linux the co-kernel acts on.
pub mod flag {
    /// No SIGCHLD when a child stops.
    pub const NOCLDSTOP: u64 = 1;
    /// Children that end leave nothing to wait for.
    pub const NOCLDWAIT: u64 = 2;
    /// The handler wants to know about the signal; all do here.
    pub const SIGINFO: u64 = 4;
    /// Tagged addresses; means nothing on x86, but is kept.
    pub const EXPOSE_TAGBITS: u64 = 0x800;
    /// The restorer is valid; required on x86-64.
    pub const RESTORER: u64 = 0x0400_0000;
    /// Run on the signal stack.
    pub const ONSTACK: u64 = 0x0800_0000;
    /// Restart interrupted calls.
    pub const RESTART: u64 = 0x1000_0000;
    /// Do not block the signal in its own handler.
    pub const NODEFER: u64 = 0x4000_0000;
    /// Back to the default action when the handler runs.
    pub const RESETHAND: u64 = 0x8000_0000;
    /// All that Linux keeps of an action's flags.
    pub const ALL: u64 = NOCLDSTOP
        | NOCLDWAIT
        | SIGINFO
        | EXPOSE_TAGBITS
        | RESTORER
        | ONSTACK
        | RESTART
        | NODEFER
        | RESETHAND;
}

/// The action of a program for a signal; the layout of Linux's `struct kernel_sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// [`DEFAULT_HANDLER`], [`IGNORE_HANDLER`] or an address.
    pub handler: u64,
    /// See [`flag`].
    pub flags: u64,
    /// The address that the handler returns to.
    pub restorer: u64,
    /// Blocked in addition while it runs.
    pub mask: SignalSet,
}

impl Action {
    /// Whether `signal`, whose action this is, leaves no trace when it comes.
    #[must_use]
    pub const fn is_ignored_for(&self, signal: u32) -> bool {
        match self.handler {
            IGNORE_HANDLER => true,
            DEFAULT_HANDLER => matches!(default_action(signal), DefaultAction::Ignore),
            _ => false,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::signals::number::{SIGCHLD, SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGURG, SIGWINCH};
    use crate::signals::SIGNALS;

    fn with(handler: u64) -> Action {
        Action {
            handler,
            ..Action::default()
        }
    }

    #[test]
    fn by_default_only_three_signals_are_ignored() {
        let ignored = (1..=SIGNALS).filter(|signal| Action::default().is_ignored_for(*signal));
        assert!(ignored.eq([SIGCHLD, SIGURG, SIGWINCH]));
    }

    #[test]
    fn a_continue_is_not_ignored_because_it_continues() {
        for signal in [SIGCONT, SIGSTOP, SIGKILL] {
            assert!(!with(DEFAULT_HANDLER).is_ignored_for(signal));
        }
    }

    #[test]
    fn who_says_ignore_ignores_everything_and_a_handler_nothing() {
        for signal in 1..=SIGNALS {
            assert!(with(IGNORE_HANDLER).is_ignored_for(signal));
            assert!(!with(0x40_1000).is_ignored_for(signal));
        }
        assert!(!with(2).is_ignored_for(SIGHUP));
    }

    #[test]
    fn flags_are_the_bits_of_linux() {
        assert_eq!(flag::ALL, 0xdc00_0807);
        let each = [
            flag::NOCLDSTOP,
            flag::NOCLDWAIT,
            flag::SIGINFO,
            flag::EXPOSE_TAGBITS,
            flag::RESTORER,
            flag::ONSTACK,
            flag::RESTART,
            flag::NODEFER,
            flag::RESETHAND,
        ];
        assert!(each.iter().all(|flag| flag.count_ones() == 1));
        assert_eq!(each.iter().sum::<u64>(), flag::ALL);
    }

    #[test]
    fn an_action_has_the_size_of_a_kernel_sigaction() {
        assert_eq!(size_of::<Action>(), 32);
    }
}
