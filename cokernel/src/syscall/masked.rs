// SPDX-License-Identifier: GPL-2.0
//! Calls that wait with another signal mask: the mask is the program's and stays here, the waiting
//! is Linux's.

use cokernel_logic::signals::SignalSet;

use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::proxy_mask;
use crate::syscall::sigaction::SET_BYTES;
use crate::task::{current, sched};
use crate::user_memory::read_words;

/// pselect6(2): the last argument points to the mask's address and size.
pub fn pselect6(frame: &mut UserFrame) -> SyscallResult {
    let mut args = frame.args();
    let [mask, bytes] = match args[5] {
        0 => [0, 0],
        pair => read_words(pair)?,
    };
    args[5] = 0;
    wait(frame.number(), args, mask, bytes)
}

/// ppoll(2).
pub fn ppoll(frame: &mut UserFrame) -> SyscallResult {
    let mut args = frame.args();
    let (mask, bytes) = (args[3], args[4]);
    args[3] = 0;
    wait(frame.number(), args, mask, bytes)
}

/// epoll_pwait(2).
pub fn epoll_pwait(frame: &mut UserFrame) -> SyscallResult {
    let mut args = frame.args();
    let (mask, bytes) = (args[4], args[5]);
    args[4] = 0;
    wait(frame.number(), args, mask, bytes)
}

/// epoll_pwait2(2).
pub fn epoll_pwait2(frame: &mut UserFrame) -> SyscallResult {
    epoll_pwait(frame)
}

fn wait(number: u64, args: [u64; 6], mask: u64, bytes: u64) -> SyscallResult {
    if mask != 0 {
        if bytes != SET_BYTES {
            return Err(Errno::EINVAL);
        }
        let [set] = read_words(mask)?;
        let thread = sched::current();
        thread.data.signals.set_mask_for_now(SignalSet(set));
        thread.request_return_work();
        proxy_mask::sync_for_wait(current::process());
        if thread
            .data
            .signals
            .has_deliverable(&current::process().signals)
        {
            return look_once(number, args, SignalSet(set));
        }
    }
    let result = delegate::call_directly(number, args).map_err(|errno| match errno {
        // A signal that may come while the call waits must end it, even if the worker has not begun.
        Errno::ERESTARTNOINTR => Errno::ERESTARTNOHAND,
        other => other,
    });
    if !matches!(result, Err(Errno::EINTR | Errno::ERESTARTNOHAND)) {
        // Only a wait that a signal has ended shows that signal to the program.
        sched::current().data.signals.put_mask_back();
    }
    result
}

/// A signal waits already: what is ready goes before it, as on Linux, and then the signal goes on
/// waiting. pselect6 would need a time limit in the program's memory, and ends by the signal.
fn look_once(number: u64, [first, second, third, ..]: [u64; 6], mask: SignalSet) -> SyscallResult {
    // The signal must not interrupt the look.
    let signals = &sched::current().data.signals;
    signals.put_mask_back();
    let ready = match number {
        number::ppoll => delegate::call_directly(number::poll, [first, second, 0, 0, 0, 0])?,
        number::epoll_pwait | number::epoll_pwait2 => {
            delegate::call_directly(number::epoll_wait, [first, second, third, 0, 0, 0])?
        }
        _ => 0,
    };
    if ready == 0 {
        signals.set_mask_for_now(mask);
        return Err(Errno::EINTR);
    }
    Ok(ready)
}
