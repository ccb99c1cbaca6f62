// SPDX-License-Identifier: GPL-2.0
//! rt_sigaction(2) and rt_sigprocmask(2): their arguments; and what becomes of a call that a signal
//! interrupted.

use ihk_ikc::errno::{decode, Errno};

use crate::signal_action::{flag, Action};
use crate::signals::number::{SIGKILL, SIGSTOP};
use crate::signals::{is_valid, SignalSet};

/// Size of the kernel's signal sets.
pub const SET_BYTES: u64 = 8;

const SIG_BLOCK: i32 = 0;
const SIG_UNBLOCK: i32 = 1;
const SIG_SETMASK: i32 = 2;

/// The action in the words of a `struct kernel_sigaction`, as far as Linux keeps it.
#[must_use]
pub const fn action_of([handler, flags, restorer, mask]: [u64; 4]) -> Action {
    Action {
        handler,
        flags: flags & flag::ALL,
        restorer,
        mask: SignalSet(mask).without(SignalSet::UNBLOCKABLE),
    }
}

/// The words of a `struct kernel_sigaction` that say `action`.
#[must_use]
pub const fn words_of(action: &Action) -> [u64; 4] {
    [action.handler, action.flags, action.restorer, action.mask.0]
}

/// Whether `signal` has an action that can be asked for and, if it `changes`, be another one.
///
/// # Errors
///
/// `EINVAL`.
pub const fn check_action(signal: u32, changes: bool) -> Result<(), Errno> {
    let fixed = signal == SIGKILL || signal == SIGSTOP;
    if !is_valid(signal) || fixed && changes {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// The mask `before` after `set` was blocked, unblocked or made the mask, as `how` says.
///
/// # Errors
///
/// `EINVAL`: `how` is none of them.
pub const fn changed_mask(before: SignalSet, how: i32, set: SignalSet) -> Result<SignalSet, Errno> {
    match how {
        SIG_BLOCK => Ok(before.union(set)),
        SIG_UNBLOCK => Ok(before.without(set)),
        SIG_SETMASK => Ok(set),
        _ => Err(Errno::EINVAL),
    }
}

/// The way of a handler, or of none, through a call that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// A handler with `SA_RESTART`.
    Restarts,
    /// A handler without.
    Ends,
    /// No handler runs.
    None,
}

/// The further life of a call that has come back to user mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is over, with its result.
    Done,
    /// It begins again.
    Again,
    /// It is over, with `EINTR`.
    Interrupted,
}

/// The outcome of a call whose result register is `result`, when `handler` runs (signal(7), and
/// `handle_signal` and `arch_do_signal_or_restart` of Linux).
#[inline]
#[must_use]
pub fn outcome(result: u64, handler: Handler) -> Outcome {
    let code = decode(result).err().filter(|code| code.is_restart_code());
    match (code, handler) {
        (None, _) => Outcome::Done,
        (Some(Errno::ERESTARTNOINTR), _) | (Some(Errno::ERESTARTSYS), Handler::Restarts) => {
            Outcome::Again
        }
        // The rest of a time limit is lost, so waiting again would be wrong.
        (Some(Errno::ERESTART_RESTARTBLOCK), Handler::None) => Outcome::Interrupted,
        (Some(_), Handler::None) => Outcome::Again,
        (Some(_), _) => Outcome::Interrupted,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use ihk_ikc::errno::encode;
    use proptest::prelude::*;

    use super::*;
    use crate::signals::number::SIGHUP;

    /// sigaction(2): EINVAL for an invalid signal, and to change the action of SIGKILL or SIGSTOP; asking is
    /// allowed (do_sigaction).
    #[test]
    fn actions_of_sigkill_and_sigstop_are_read_only() {
        for signal in [SIGKILL, SIGSTOP] {
            assert_eq!(check_action(signal, false), Ok(()));
            assert_eq!(check_action(signal, true), Err(Errno::EINVAL));
        }
        for signal in [SIGHUP, 32, 64] {
            assert_eq!(check_action(signal, true), Ok(()));
        }
        for signal in [0, 65, u32::MAX] {
            assert_eq!(check_action(signal, false), Err(Errno::EINVAL));
        }
    }

    /// do_sigaction: sigdelsetmask(&act->sa.sa_mask, sigmask(SIGKILL) | sigmask(SIGSTOP)); unknown flags are
    /// cleared, so that programs can find out what the kernel knows.
    #[test]
    fn an_action_keeps_what_linux_keeps() {
        let kept = action_of([0x1000, u64::MAX, 0x2000, u64::MAX]);
        assert_eq!(kept.flags, flag::ALL);
        assert!(!kept.mask.contains(SIGKILL) && !kept.mask.contains(SIGSTOP));
        assert!(kept.mask.contains(SIGHUP) && kept.mask.contains(64));
        assert_eq!(words_of(&kept), [0x1000, flag::ALL, 0x2000, kept.mask.0]);
    }

    /// sigprocmask(2): the union, the difference, or the set itself; EINVAL for another `how`.
    #[test]
    fn a_mask_is_changed_as_sigprocmask_says() {
        let (before, set) = (SignalSet(0b1100), SignalSet(0b1010));
        assert_eq!(changed_mask(before, 0, set), Ok(SignalSet(0b1110)));
        assert_eq!(changed_mask(before, 1, set), Ok(SignalSet(0b0100)));
        assert_eq!(changed_mask(before, 2, set), Ok(set));
        for how in [-1, 3, i32::MIN] {
            assert_eq!(changed_mask(before, how, set), Err(Errno::EINVAL));
        }
    }

    fn after(code: Errno) -> [Outcome; 3] {
        [Handler::Restarts, Handler::Ends, Handler::None].map(|it| outcome(encode(Err(code)), it))
    }

    /// signal(7), interruption of system calls by signal handlers; the columns are a handler with SA_RESTART,
    /// one without, and no handler.
    #[test]
    fn each_restart_code_begins_again_when_linux_does() {
        use Outcome::{Again, Interrupted};
        assert_eq!(after(Errno::ERESTARTSYS), [Again, Interrupted, Again]);
        assert_eq!(after(Errno::ERESTARTNOINTR), [Again, Again, Again]);
        assert_eq!(
            after(Errno::ERESTARTNOHAND),
            [Interrupted, Interrupted, Again]
        );
    }

    /// A call with a time limit that began again would wait for too long: here it never does.
    #[test]
    fn a_wait_with_a_time_limit_does_not_begin_again() {
        assert_eq!(
            after(Errno::ERESTART_RESTARTBLOCK),
            [Outcome::Interrupted; 3]
        );
    }

    proptest! {
        /// Whatever else is in the register, the call is over: values, and errors that programs see.
        #[test]
        fn other_results_stay(value in any::<u64>(), number in 1i32..512) {
            for handler in [Handler::Restarts, Handler::Ends, Handler::None] {
                if decode(value).is_ok() {
                    prop_assert_eq!(outcome(value, handler), Outcome::Done);
                }
                let error = encode(Err(Errno::new(number)));
                prop_assert_eq!(outcome(error, handler), Outcome::Done);
            }
        }
    }
}
