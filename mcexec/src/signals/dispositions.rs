// SPDX-License-Identifier: GPL-2.0
//! Dispositions of signals: for each signal, this process does what the program wants.
//!
//! Linux takes the default action or ignores the signal, as for any process. A signal for which the
//! program has a handler is sent on to the co-kernel, which runs that handler.
//!
//! Signals of faults are no exception if another process sent them. The same handler gets faults of
//! this process itself; it dies of them.

use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::process::disposition;
use nix::errno::Errno;
use nix::libc;

use super::forward::send_on;
use super::{interrupt, raw, worker_mask};

/// Signals that the program ignores, bit n − 1 = signal n, as far as [`act`] has to know.
static IGNORED: AtomicU64 = AtomicU64::new(0);
/// Signals with a handler that is not set up here ([`take_over`]).
static TAKEN_OVER: AtomicU64 = AtomicU64::new(0);

/// Sets what becomes of `signal` from now on: `wanted` is one of [`disposition`], and those of
/// `flags` count that concern children.
///
/// # Errors
///
/// `EINVAL` for what is no signal, or one that cannot be caught.
pub(crate) fn set(signal: i32, wanted: u64, flags: u64) -> Result<(), Errno> {
    // SAFETY: all zeroes is a sigaction: default action, nothing masked, no flags.
    let mut action: libc::sigaction = unsafe { zeroed() };
    match wanted {
        disposition::DEFAULT => action.sa_sigaction = libc::SIG_DFL,
        disposition::IGNORE => action.sa_sigaction = libc::SIG_IGN,
        disposition::FORWARD => {
            action.sa_sigaction = (forward as *const ()).expose_provenance();
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            let blocked = (&raw mut action.sa_mask).cast::<u64>();
            // All, also the one that interrupts calls: its handler must see where the call is, not
            // this handler. `sigfillset` would leave that out.
            // SAFETY: a set of the C library begins with the kernel's 64 bits.
            unsafe { blocked.write(u64::MAX) };
        }
        _ => return Err(Errno::EINVAL),
    }
    note_ignored(signal, wanted == disposition::IGNORE);
    if wanted != disposition::FORWARD {
        worker_mask::set_forwarded(signal, false);
    }
    let child_flags = libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
    action.sa_flags |= i32::try_from(flags).map_err(|_| Errno::EINVAL)? & child_flags;
    if TAKEN_OVER.load(Ordering::SeqCst) & bit(signal) == 0 {
        // SAFETY: the handler is safe to run at any point of any thread, see there.
        Errno::result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    }
    if wanted == disposition::FORWARD {
        interrupt::let_control_take(signal);
        worker_mask::set_forwarded(signal, true);
    }
    Ok(())
}

/// Gives `signal` the handler in `action`, which calls [`act`] for what comes from outside.
///
/// # Errors
///
/// Linux refuses.
pub(crate) fn take_over(signal: i32, action: &libc::sigaction) -> Result<(), Errno> {
    // SAFETY: all zeroes is a sigaction.
    let mut before: libc::sigaction = unsafe { zeroed() };
    TAKEN_OVER.fetch_or(bit(signal), Ordering::SeqCst);
    // SAFETY: the caller's handler finds out by itself where it runs.
    Errno::result(unsafe { libc::sigaction(signal, action, &raw mut before) })?;
    if before.sa_sigaction == libc::SIG_IGN {
        note_ignored(signal, true);
    }
    Ok(())
}

/// Returns whether a fault of this process brought `info` about, not another process.
#[must_use]
pub(crate) fn is_own_fault(info: &libc::siginfo_t) -> bool {
    let is_fault = matches!(
        info.si_signo,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP | libc::SIGSYS
    );
    // What processes and timers send has no positive code.
    is_fault && info.si_code > 0
}

/// Does with a signal from outside what the program wants.
///
/// Async-signal-safe: atomics, and [`send_on`].
pub(crate) fn act(signal: i32, info: &libc::siginfo_t) {
    if worker_mask::forwarded_of(bit(signal)) != 0 {
        send_on(signal, info);
    } else if IGNORED.load(Ordering::SeqCst) & bit(signal) == 0 {
        raw::die(u64::from(signal.unsigned_abs()));
    }
}

/// Handles a signal that this process received: sends it to the program.
///
/// Async-signal-safe: see [`send_on`]; or it does not return.
extern "C" fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid siginfo.
    let info = unsafe { &*info };
    if is_own_fault(info) {
        raw::die(u64::from(signal.unsigned_abs()));
    }
    send_on(signal, info);
}

fn note_ignored(signal: i32, ignored: bool) {
    if ignored {
        IGNORED.fetch_or(bit(signal), Ordering::SeqCst);
    } else {
        IGNORED.fetch_and(!bit(signal), Ordering::SeqCst);
    }
}

/// Returns the bit of `signal`; none of what is no signal.
const fn bit(signal: i32) -> u64 {
    match signal {
        1..=raw::SIGNALS => 1 << (signal - 1),
        _ => 0,
    }
}
