// SPDX-License-Identifier: GPL-2.0
//! Blocking signals and waiting for them.

use cokernel_logic::signals::SignalSet;
use cokernel_logic::syscall::signal::changed_mask;

use crate::addr::to_usize;
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::proxy_mask;
use crate::syscall::sigaction::SET_BYTES;
use crate::task::{current, sched};
use crate::user_memory::{int, read_bytes, read_words, write_bytes, write_words};

/// rt_sigprocmask(2).
pub fn rt_sigprocmask(frame: &mut UserFrame) -> SyscallResult {
    let [how, new, old, set_bytes, ..] = frame.args();
    if set_bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let thread = sched::current();
    let before = thread.data.signals.mask();
    if new != 0 {
        let [set] = read_words(new)?;
        let mask = changed_mask(before, int(how), SignalSet(set))?;
        thread.data.signals.set_mask(mask);
        proxy_mask::after_unblocking(current::process(), before.without(mask));
        thread.request_return_work();
    }
    if old != 0 {
        write_words(old, &[before.0])?;
    }
    Ok(0)
}

/// rt_sigpending(2).
pub fn rt_sigpending(frame: &mut UserFrame) -> SyscallResult {
    let [set, bytes, ..] = frame.args();
    if bytes > SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let signals = &sched::current().data.signals;
    let process = current::process();
    let waiting = signals.pending(&process.signals).0 & signals.mask().0;
    let mut waiting = waiting.to_le_bytes();
    // Linux may keep some for the process, and for the worker whose call brought them about.
    if !signals.mask().is_empty() {
        delegate::call_directly(frame.number(), frame.args())?;
        let mut theirs = [0; to_usize(SET_BYTES)];
        read_bytes(set, &mut theirs[..to_usize(bytes)])?;
        for (byte, theirs) in waiting.iter_mut().zip(theirs) {
            *byte |= theirs;
        }
    }
    write_bytes(set, &waiting[..to_usize(bytes)])?;
    Ok(0)
}

/// rt_sigsuspend(2).
pub fn rt_sigsuspend(frame: &mut UserFrame) -> SyscallResult {
    let [set, bytes, ..] = frame.args();
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [mask] = read_words(set)?;
    sched::current()
        .data
        .signals
        .set_mask_for_now(SignalSet(mask));
    proxy_mask::sync_for_wait(current::process());
    wait_for_signal()
}

/// pause(2).
pub fn pause(_: &mut UserFrame) -> SyscallResult {
    wait_for_signal()
}

/// Waits until a signal is to be delivered or the process ends.
fn wait_for_signal() -> SyscallResult {
    let thread = sched::current();
    let process = current::process();
    sched::block(|| {
        process.is_dying()
            || process.lifetime.is_frozen()
            || thread.data.signals.has_deliverable(&process.signals)
    });
    thread.request_return_work();
    Err(Errno::ERESTARTNOHAND)
}
