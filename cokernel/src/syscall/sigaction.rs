// SPDX-License-Identifier: GPL-2.0
//! rt_sigaction. The proxy is told, so that signals from outside find what the program wants.

use cokernel_logic::signals::{SignalSet, SIGNALS};
pub use cokernel_logic::syscall::signal::SET_BYTES;
use cokernel_logic::syscall::signal::{action_of, check_action, words_of};
use ihk_ikc::process::{disposition, op};

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::proxy_mask;
use crate::task::current;
use crate::task::process::Process;
use crate::task::signal::{self, flag, Action, DEFAULT_HANDLER, IGNORE_HANDLER};
use crate::user_memory::{read_words, uint, write_words};

/// rt_sigaction(2).
pub fn rt_sigaction(frame: &mut UserFrame) -> SyscallResult {
    let [signal, new, old, set_bytes, ..] = frame.args();
    let signal = uint(signal);
    if set_bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let wanted = match new {
        0 => None,
        address => Some(action_of(read_words(address)?)),
    };
    check_action(signal, wanted.is_some())?;
    let process = current::process();
    let before = match wanted {
        None => process.signals.action(signal),
        Some(action) => {
            let before = signal::send::set_action(process, signal, action);
            proxy_mask::sync_for_wait(process);
            tell_proxy(signal, &before, &action);
            before
        }
    };
    if old != 0 {
        write_words(old, &words_of(&before))?;
    }
    Ok(0)
}

fn tell_proxy(signal: u32, before: &Action, after: &Action) {
    let new_meaning = meaning(before) != meaning(after);
    let changed = new_meaning || child_flags(before) != child_flags(after);
    if new_meaning {
        current::process().proxy_signals.remove_awaited(signal);
    }
    if changed {
        // The program's own view is complete without it.
        let _ = delegate::call_directly(
            op::DISPOSITION,
            [
                u64::from(signal),
                meaning(after),
                child_flags(after),
                0,
                0,
                0,
            ],
        );
        if meaning(after) == disposition::FORWARD {
            proxy_mask::note_unblocked(current::process(), signal);
        }
    }
}

/// The program waits for the signals of `set` without a handler: Linux must not take their default
/// action, but send them here, where masks and waiters are known.
pub fn await_from_proxy(process: &Process, set: SignalSet) {
    let new = process.proxy_signals.add_awaited(set);
    for signal in (1..=SIGNALS).filter(|signal| new.contains(*signal)) {
        if meaning(&process.signals.action(signal)) != disposition::FORWARD {
            // As for `tell_proxy`.
            let _ = delegate::call_directly(
                op::DISPOSITION,
                [u64::from(signal), disposition::FORWARD, 0, 0, 0, 0],
            );
            proxy_mask::note_unblocked(process, signal);
        }
    }
}

/// The flags of SIGCHLD's action that Linux must know; they mean nothing for other signals.
const fn child_flags(action: &Action) -> u64 {
    action.flags & (flag::NOCLDSTOP | flag::NOCLDWAIT)
}

const fn meaning(action: &Action) -> u64 {
    match action.handler {
        DEFAULT_HANDLER => disposition::DEFAULT,
        IGNORE_HANDLER => disposition::IGNORE,
        _ => disposition::FORWARD,
    }
}
