// SPDX-License-Identifier: GPL-2.0
//! Sending signals: to a process, to a thread, and who of a process takes them.

use alloc::sync::Arc;

use cokernel_logic::posix_timers::Target;
use cokernel_logic::signal_state::{addressee, Addressee};
use cokernel_logic::signals::SignalSet;

use super::account::Room;
use super::{Action, Info};
use crate::frames::watermark;
use crate::task::process::Process;
use crate::task::rlimits::SIGPENDING;
use crate::task::sched;
use crate::task::thread::Thread;

/// The memory by which a queue of signals grows at once, as a rule.
const GROWTH_BYTES: u64 = 1 << 20;

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
    if !process.signals.add(info, &room(process)) {
        return false;
    }
    alert_taker(&threads, info.signal);
    true
}

/// Alerts a thread that takes a signal of the process.
fn alert_taker(threads: &[Arc<Thread>], signal: u32) {
    let mut threads = threads.iter();
    if let Some(thread) = threads.find(|thread| thread.data.signals.accepts(signal)) {
        alert(thread);
    }
}

/// The room for signals of `process`. There is none if the kernel must keep memory for more than signals.
pub fn room(process: &Process) -> Room {
    let limit = process.limits.get(SIGPENDING)[0];
    let has_memory = watermark::has_room_for_structures(GROWTH_BYTES);
    process
        .signal_account
        .room(if has_memory { limit } else { 0 })
}

/// Sends the signal `info` of a timer to whom the timer names. `false`: it is none of a timer of the
/// process. Any context.
pub fn send_expiry(process: &Process, info: Info) -> bool {
    let id = info.timer().map(|(id, _)| id);
    let Some(target) = id.and_then(|id| process.cpu_timers.target(id)) else {
        return false;
    };
    let threads = process.threads();
    let with_id = |tid| threads.iter().find(|thread| thread.data.tid == tid);
    match target {
        Target::Nobody => {}
        Target::Process => {
            let mut masks = threads.iter().map(|thread| thread.data.signals.mask());
            let blocked = masks.all(|mask| mask.contains(info.signal));
            if blocked || !process.signals.is_ignored(info.signal) {
                process.signals.add_expiry(info, &room(process));
                alert_taker(&threads, info.signal);
            }
        }
        Target::Thread(tid) => {
            if let Some(thread) = with_id(tid) {
                let blocked = thread.data.signals.mask().contains(info.signal);
                if blocked || !process.signals.is_ignored(info.signal) {
                    thread.data.signals.add_expiry(info, &room(process));
                    alert(thread);
                }
            }
        }
        Target::Sleeper(tid) => {
            if let Some(thread) = with_id(tid) {
                sched::wake(thread);
            }
        }
    }
    true
}

/// Drops what waits of timer `id`.
pub fn forget_expiry(process: &Process, id: u32) {
    process.signals.forget_expiry(id);
    for thread in process.threads() {
        thread.data.signals.forget_expiry(id);
    }
}

/// Sends a signal to one thread; whether there was room for it. Any context.
pub fn send_to_thread(process: &Process, thread: &Arc<Thread>, info: Info) -> bool {
    undo(process, info.signal);
    let blocked = thread.data.signals.mask().contains(info.signal);
    if process.signals.is_ignored(info.signal) && !blocked {
        return true;
    }
    let comes = thread.data.signals.add(info, &room(process));
    if comes {
        alert(thread);
    }
    comes
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
