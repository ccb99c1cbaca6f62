// SPDX-License-Identifier: GPL-2.0
//! Sending signals: to a process, to a thread, and who of a process takes them.

use alloc::sync::Arc;

use cokernel_logic::signal_state::{addressee, Addressee};
use cokernel_logic::signals::SignalSet;

use super::{Action, Info};
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::Thread;

/// Sends a signal to the process as a whole; whether there was room for it. Any context.
pub fn send_to_process(process: &Process, info: Info) -> bool {
    let threads = process.threads();
    undo(process, info.signal);
    let blocked = threads
        .iter()
        .all(|thread| thread.data.signals.mask().contains(info.signal));
    if process.signals.is_ignored(info.signal) && !blocked {
        return true;
    }
    if !process.signals.add(info) {
        return false;
    }
    let taker = threads
        .iter()
        .find(|thread| thread.data.signals.accepts(info.signal));
    if let Some(thread) = taker {
        alert(thread);
    }
    true
}

/// Sends a signal to one thread; whether there was room for it. Any context.
pub fn send_to_thread(process: &Process, thread: &Arc<Thread>, info: Info) -> bool {
    undo(process, info.signal);
    let blocked = thread.data.signals.mask().contains(info.signal);
    if process.signals.is_ignored(info.signal) && !blocked {
        return true;
    }
    let room = thread.data.signals.add(info);
    if room {
        alert(thread);
    }
    room
}

/// Sends a signal that Linux handed to the worker of `thread`. Unless it was surely meant for that
/// thread, it may have been meant for the process: then whoever handles it gets it; whether there
/// was room for it. Any context.
pub fn send_from_worker(process: &Process, thread: &Arc<Thread>, info: Info) -> bool {
    let accepted = |thread: &Arc<Thread>| thread.data.signals.accepts(info.signal);
    let handled = !process.signals.defaults().contains(info.signal);
    let others_accept = || process.threads().iter().any(accepted);
    match addressee(
        &info,
        accepted(thread),
        thread.slot == 0,
        handled,
        others_accept,
    ) {
        Addressee::Thread => send_to_thread(process, thread, info),
        Addressee::Process => send_to_process(process, info),
    }
}

/// Takes back what waits of the signals that `signal` undoes, blocked or ignored as it may be itself.
fn undo(process: &Process, signal: u32) {
    let undone = SignalSet::undone_by(signal);
    if !undone.is_empty() {
        process.signals.forget(undone);
        for thread in process.threads() {
            thread.data.signals.forget(undone);
        }
    }
}

fn alert(thread: &Arc<Thread>) {
    thread.request_return_work();
    sched::wake(thread);
    sched::kick(thread);
}

/// Sets the action of a valid `signal` of `process`; the one before. What is to be ignored from now on
/// and already waits, for the process or a thread, is dropped.
pub fn set_action(process: &Process, signal: u32, action: Action) -> Action {
    let before = process.signals.set_action(signal, action);
    if action.is_ignored_for(signal) {
        for thread in process.threads() {
            thread.data.signals.forget(SignalSet::of(signal));
        }
    }
    before
}
