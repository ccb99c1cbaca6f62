// SPDX-License-Identifier: GPL-2.0
//! Dispositions of signals: for each signal, this process does what the program wants.
//!
//! Linux takes the default action or ignores the signal, as for any process. A signal for which the
//! program has a handler is sent on to the co-kernel, which runs that handler.

use std::mem::zeroed;
use std::ptr;

use ihk_ikc::process::disposition;
use nix::errno::Errno;
use nix::libc;

use super::forward::forward;
use super::{interrupt, worker_mask};

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
        // A fault of mcexec itself must end it, not come back for ever.
        disposition::FORWARD if is_fault(signal) => return Err(Errno::EINVAL),
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
    if wanted != disposition::FORWARD {
        worker_mask::set_forwarded(signal, false);
    }
    let child_flags = libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
    action.sa_flags |= i32::try_from(flags).map_err(|_| Errno::EINVAL)? & child_flags;
    // SAFETY: the handler is safe to run at any point of any thread, see there.
    Errno::result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    if wanted == disposition::FORWARD {
        interrupt::let_control_take(signal);
        worker_mask::set_forwarded(signal, true);
    }
    Ok(())
}

fn is_fault(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP
    )
}
