// SPDX-License-Identifier: GPL-2.0
//! Tests of the signals of processes and threads, against signal(7) and kernel/signal.c of Linux.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::signals::number::{
    SIGCHLD, SIGHUP, SIGKILL, SIGQUIT, SIGSEGV, SIGSTOP, SIGTRAP, SIGURG, SIGXCPU,
};

type Process = ProcessSignals<RefCell<Shared>>;
type Thread = ThreadSignals<RefCell<Own>>;

const HANDLER: u64 = 0x40_0000;
const REALTIME: u32 = 40;

fn process() -> Process {
    Process::new(SignalSet::EMPTY)
}

fn with(handler: u64) -> Action {
    Action {
        handler,
        ..Action::default()
    }
}

fn room() -> Room {
    Room {
        account: Arc::default(),
        limit: u64::MAX,
    }
}

fn info(signal: u32, second: u64) -> Info {
    Info {
        signal,
        second,
        ..Info::default()
    }
}

fn set(signals: &[u32]) -> SignalSet {
    let add = |set: SignalSet, signal: &u32| set.union(SignalSet::of(*signal));
    signals.iter().fold(SignalSet::EMPTY, add)
}

/// execve(2): ignored signals stay ignored, all others get their default action.
#[test]
fn a_program_begins_with_default_actions_but_for_what_is_ignored() {
    let process = Process::new(SignalSet::of(SIGHUP));
    assert_eq!(process.ignored(), SignalSet::of(SIGHUP));
    assert_eq!(process.caught(), SignalSet::EMPTY);
    let others = SignalSet(u64::MAX).without(SignalSet::of(SIGHUP));
    assert_eq!(process.defaults(), others);
}

/// fork(2): the child has the same actions, and no pending signal.
#[test]
fn a_child_inherits_actions_and_nothing_that_waits() {
    let parent = process();
    parent.set_action(SIGHUP, with(HANDLER));
    parent.set_action(SIGQUIT, with(IGNORE_HANDLER));
    assert!(parent.add(info(SIGHUP, 0), &room()));
    let child = parent.inherit();
    assert_eq!(child.action(SIGHUP), with(HANDLER));
    assert_eq!(child.ignored(), SignalSet::of(SIGQUIT));
    assert_eq!(child.defaults(), parent.defaults());
    assert_eq!(child.waiting(), SignalSet::EMPTY);
    assert_eq!(parent.waiting(), SignalSet::of(SIGHUP));
}

/// flush_signal_handlers(force_default = 0), for CLONE_CLEAR_SIGHAND and exec.
#[test]
fn clearing_handlers_leaves_ignored_signals_ignored() {
    let process = process();
    process.set_action(SIGHUP, with(HANDLER));
    process.set_action(SIGQUIT, with(IGNORE_HANDLER));
    assert_eq!(process.clear_handlers(), SignalSet::of(SIGHUP));
    assert_eq!(process.action(SIGHUP), Action::default());
    assert_eq!(process.ignored(), SignalSet::of(SIGQUIT));
    assert!(process.defaults().contains(SIGHUP));
    assert_eq!(process.clear_handlers(), SignalSet::EMPTY);
}

#[test]
fn setting_an_action_tells_the_one_before() {
    let process = process();
    assert_eq!(process.set_action(SIGHUP, with(HANDLER)), Action::default());
    assert_eq!(process.caught(), SignalSet::of(SIGHUP));
    assert!(!process.defaults().contains(SIGHUP));
    assert_eq!(process.set_action(SIGHUP, with(0)), with(HANDLER));
    assert!(process.defaults().contains(SIGHUP));
}

/// sigaction(2): a pending signal whose action becomes to ignore it, or is by default to ignore it, is
/// discarded, blocked or not.
#[test]
fn a_signal_that_becomes_ignored_no_longer_waits() {
    let process = process();
    for (signal, handler) in [
        (SIGHUP, IGNORE_HANDLER),
        (SIGCHLD, DEFAULT_HANDLER),
        (SIGURG, DEFAULT_HANDLER),
    ] {
        process.set_action(signal, with(HANDLER));
        assert!(process.add(info(signal, 0), &room()));
        assert!(!process.is_ignored(signal));
        process.set_action(signal, with(handler));
        assert!(process.is_ignored(signal));
        assert_eq!(process.waiting(), SignalSet::EMPTY);
    }
    assert!(process.add(info(SIGQUIT, 0), &room()));
    process.set_action(SIGQUIT, with(DEFAULT_HANDLER));
    assert!(process.waiting().contains(SIGQUIT), "that would end it");
}

/// sigprocmask(2): it is not possible to block SIGKILL or SIGSTOP.
#[test]
fn nobody_blocks_sigkill_and_sigstop() {
    let thread = Thread::default();
    thread.set_mask(SignalSet(u64::MAX));
    let all_but = SignalSet(u64::MAX).without(set(&[SIGKILL, SIGSTOP]));
    assert_eq!(thread.mask(), all_but);
    assert!(thread.accepts(SIGKILL) && !thread.accepts(SIGHUP));
}

/// dequeue_signal: the thread's own queue first, then the one of the process.
#[test]
fn a_threads_own_signals_come_before_the_processs() {
    let (process, thread) = (process(), Thread::default());
    assert!(process.add(info(SIGHUP, 1), &room()) && thread.add(info(SIGQUIT, 2), &room()));
    assert_eq!(thread.pending(&process), set(&[SIGHUP, SIGQUIT]));
    assert_eq!(thread.take(&process), Some(info(SIGQUIT, 2)));
    assert_eq!(thread.take(&process), Some(info(SIGHUP, 1)));
    assert_eq!(thread.take(&process), None);
}

/// next_signal: synchronous signals first, then the lowest number.
#[test]
fn faults_are_delivered_before_lower_numbers() {
    let (process, thread) = (process(), Thread::default());
    for signal in [SIGHUP, SIGSEGV, SIGTRAP] {
        assert!(thread.add(info(signal, 0), &room()));
    }
    let taken: Vec<u32> = core::iter::from_fn(|| thread.take(&process))
        .map(|info| info.signal)
        .collect();
    assert_eq!(taken, [SIGTRAP, SIGSEGV, SIGHUP]);
}

#[test]
fn a_blocked_signal_waits_until_it_is_not() {
    let (process, thread) = (process(), Thread::new(SignalSet::of(SIGHUP)));
    assert!(thread.add(info(SIGHUP, 0), &room()));
    assert!(!thread.has_deliverable(&process));
    assert_eq!(thread.take(&process), None);
    thread.set_mask(SignalSet::EMPTY);
    assert!(thread.has_deliverable(&process));
    assert!(thread.take(&process).is_some());
}

/// sigsuspend(2): the mask is restored when the handler returns, to what it was before the call.
#[test]
fn a_handler_in_sigsuspend_brings_the_old_mask_back() {
    let thread = Thread::new(SignalSet::of(SIGHUP));
    thread.set_mask_for_now(SignalSet::of(SIGQUIT));
    assert_eq!(thread.mask(), SignalSet::of(SIGQUIT));
    assert_eq!(thread.take_handler_start().0, SignalSet::of(SIGHUP));
    assert!(!thread.put_mask_back(), "the handler does it");
    assert_eq!(thread.take_handler_start().0, SignalSet::of(SIGQUIT));
}

#[test]
fn without_a_handler_sigsuspend_brings_the_old_mask_back_itself() {
    let thread = Thread::new(SignalSet::of(SIGHUP));
    thread.set_mask_for_now(SignalSet::EMPTY);
    assert!(thread.put_mask_back());
    assert_eq!(thread.mask(), SignalSet::of(SIGHUP));
    assert!(!thread.put_mask_back());
}

/// sigwaitinfo(2): a thread that waits for a signal takes it though it blocks it, and only that.
#[test]
fn who_waits_for_a_blocked_signal_accepts_it() {
    let thread = Thread::new(set(&[SIGHUP, SIGQUIT]));
    thread.set_awaited(SignalSet::of(SIGHUP));
    assert!(thread.accepts(SIGHUP) && !thread.accepts(SIGQUIT));
    thread.set_awaited(SignalSet::EMPTY);
    assert!(!thread.accepts(SIGHUP));
}

/// sigwaitinfo(2): of several, the lowest number; of those of one number, the order they were sent in.
#[test]
fn waiting_takes_the_lowest_of_the_set_and_nothing_else() {
    let (process, thread) = (process(), Thread::new(SignalSet(u64::MAX)));
    for (signal, value) in [(REALTIME, 1), (REALTIME, 2), (SIGSEGV, 3), (SIGHUP, 4)] {
        assert!(process.add(info(signal, value), &room()));
    }
    let wanted = set(&[SIGSEGV, REALTIME]);
    let taken: Vec<u64> = core::iter::from_fn(|| thread.take_of(&process, wanted))
        .map(|info| info.second)
        .collect();
    assert_eq!(taken, [3, 1, 2]);
    assert_eq!(thread.pending(&process), SignalSet::of(SIGHUP));
}

/// sigaltstack(2), SS_AUTODISARM: the settings are cleared on entry to the handler.
#[test]
fn only_a_stack_that_disarms_itself_is_gone_while_a_handler_runs() {
    let thread = Thread::default();
    for flags in [0, 1 << 31] {
        let stack = SignalStack {
            start: 0x1000,
            size: 0x4000,
            flags,
        };
        thread.set_stack(stack);
        assert_eq!(thread.take_handler_start().1, stack);
        thread.disarm_stack();
        let expected = if stack.disarms_itself() {
            SignalStack::DISABLED
        } else {
            stack
        };
        assert_eq!(thread.stack(), expected);
    }
}

#[test]
fn the_last_exception_stays_until_the_next_one() {
    let thread = Thread::default();
    let trap = Trap {
        number: 14,
        error: 6,
        address: 0x1234,
    };
    thread.set_trap(trap);
    assert!(thread.add(info(SIGSEGV, 0), &room()));
    assert_eq!(
        (thread.trap(), thread.waiting()),
        (trap, SignalSet::of(SIGSEGV))
    );
}

/// Whom a signal is for that came to a worker; by default nobody else accepts it.
fn for_whom(info: &Info, accepts: bool, is_main: bool, others: Option<bool>) -> Addressee {
    addressee(info, accepts, is_main, others.is_some(), || {
        others == Some(true)
    })
}

/// complete_signal: Linux gives a signal of a process to the thread that it is sent to, if that one wants
/// it, and the main thread is who gets what nobody wants.
#[test]
fn a_signal_that_the_thread_takes_is_the_threads() {
    let signal = info(SIGHUP, 0);
    assert_eq!(for_whom(&signal, true, true, Some(true)), Addressee::Thread);
    assert_eq!(for_whom(&signal, false, true, None), Addressee::Process);
    assert_eq!(for_whom(&signal, false, false, None), Addressee::Thread);
}

#[test]
fn a_blocked_signal_goes_to_another_thread_that_has_a_handler_for_it() {
    let signal = info(SIGHUP, 0);
    assert_eq!(
        for_whom(&signal, false, false, Some(true)),
        Addressee::Process
    );
    assert_eq!(
        for_whom(&signal, false, false, Some(false)),
        Addressee::Thread
    );
}

/// tkill(2), pipe(7) and setrlimit(2) signal the calling thread; the C library's own signals are meant for
/// one thread, too.
#[test]
fn signals_that_are_surely_one_threads_stay_its_own() {
    let tkill = Info {
        code: SI_TKILL,
        ..info(SIGHUP, 0)
    };
    for signal in [
        tkill,
        info(SIGPIPE, 0),
        info(SIGXFSZ, 0),
        info(32, 0),
        info(33, 0),
    ] {
        assert_eq!(
            for_whom(&signal, false, true, Some(true)),
            Addressee::Thread
        );
    }
    for signal in [SIGXCPU, 31, 34] {
        let to = for_whom(&info(signal, 0), false, true, Some(true));
        assert_eq!(to, Addressee::Process);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    ToProcess(u32),
    ToThread(u32),
    Mask(u64),
    Ignore(u32),
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u32..=64).prop_map(Step::ToProcess),
        3 => (1u32..=64).prop_map(Step::ToThread),
        1 => any::<u64>().prop_map(Step::Mask),
        1 => (1u32..=64).prop_map(Step::Ignore),
        4 => Just(Step::Take),
    ]
}

/// Adds as signal(7) says: a standard signal that waits already is not queued again.
fn queue(list: &mut Vec<Info>, new: Info) {
    if new.signal >= 32 || list.iter().all(|info| info.signal != new.signal) {
        list.push(new);
    }
}

/// The first of `list` that signal(7) delivers next.
fn dequeue(list: &mut Vec<Info>, mask: SignalSet) -> Option<Info> {
    let fault = |info: &Info| SignalSet::SYNCHRONOUS.contains(info.signal);
    let ready = list.iter().filter(|info| !mask.contains(info.signal));
    let next = ready
        .min_by_key(|info| (!fault(info), info.signal))
        .copied()?;
    let at = list.iter().position(|info| *info == next);
    at.map(|at| list.remove(at))
}

fn signals_of(list: &[Info]) -> SignalSet {
    let signals: Vec<u32> = list.iter().map(|info| info.signal).collect();
    set(&signals)
}

proptest! {
    /// Against two plain lists.
    #[test]
    fn lists_of_signals_say_the_same(steps in proptest::collection::vec(step(), 0..80)) {
        let (process, thread) = (process(), Thread::default());
        let (mut shared, mut own): (Vec<Info>, Vec<Info>) = (Vec::new(), Vec::new());
        for (number, step) in (0..).zip(steps) {
            match step {
                Step::ToProcess(signal) => {
                    prop_assert!(process.add(info(signal, number), &room()));
                    queue(&mut shared, info(signal, number));
                }
                Step::ToThread(signal) => {
                    prop_assert!(thread.add(info(signal, number), &room()));
                    queue(&mut own, info(signal, number));
                }
                Step::Mask(mask) => thread.set_mask(SignalSet(mask)),
                Step::Ignore(signal) => {
                    process.set_action(signal, with(IGNORE_HANDLER));
                    thread.forget(SignalSet::of(signal));
                    shared.retain(|info| info.signal != signal);
                    own.retain(|info| info.signal != signal);
                }
                Step::Take => {
                    let mask = thread.mask();
                    let expected = dequeue(&mut own, mask).or_else(|| dequeue(&mut shared, mask));
                    prop_assert_eq!(thread.has_deliverable(&process), expected.is_some());
                    prop_assert_eq!(thread.take(&process), expected);
                }
            }
            prop_assert_eq!(process.waiting(), signals_of(&shared));
            prop_assert_eq!(thread.waiting(), signals_of(&own));
        }
    }
}
