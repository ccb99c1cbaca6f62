// SPDX-License-Identifier: GPL-2.0
//! Signals by the bare system calls: masks, what waits, and the end of this process.
//!
//! Hop 5.3 of a delegated call comes here if its thread blocks other signals than at its last call.
//! Linux is asked directly where the C library would leave out the signals it uses itself.

use std::mem::zeroed;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow};
use nix::unistd::{ForkResult, Pid};

use crate::syscall::{self, Answer};

/// Linux's highest signal number.
pub(crate) const SIGNALS: i32 = 64;
/// The signal that interrupts a worker's call. The C library would use it for `pthread_cancel`,
/// which is not used here.
pub(super) const INTERRUPT: libc::c_int = 32;
/// SIGPIPE and SIGXFSZ, bit n − 1 = signal n. The program's own calls earn them: Linux sends them
/// to the very thread whose call brought them about. If that thread blocks them, they stay pending
/// until one of its next calls takes them.
pub(super) const EARNED: u64 = 1 << (libc::SIGPIPE - 1) | 1 << (libc::SIGXFSZ - 1);

/// Returns whether `signal` is one of [`EARNED`].
pub(super) fn is_earned(signal: i32) -> bool {
    EARNED & 1 << (signal - 1) != 0
}

/// Sends [`INTERRUPT`] to the thread `tid` of this process, if there is one.
pub(super) fn send_interrupt(tid: libc::pid_t) {
    let pid = std::process::id().cast_signed();
    // SAFETY: a thread of this process, or none.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, INTERRUPT) };
}

/// Forks this process into new `namespaces`, which the C library's fork does not know.
///
/// # Safety
///
/// The caller must be the only thread: nobody else has a lock that the child would want.
///
/// # Errors
///
/// The error is one of clone(2).
pub(crate) unsafe fn fork_alone(namespaces: CloneFlags) -> nix::Result<ForkResult> {
    /// Option of `prctl`: the address at which Linux clears a thread's id when it ends. There the C library
    /// keeps it.
    const GET_TID_ADDRESS: libc::c_int = 40;
    let mut place = 0_u64;
    // SAFETY: Linux writes 8 bytes.
    Errno::result(unsafe { libc::prctl(GET_TID_ADDRESS, &raw mut place) })?;
    let flags =
        namespaces.bits() | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    // SAFETY: a copy of this process on a copy of this stack; the rest is the caller's promise.
    let forked = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, place, 0) };
    Errno::result(forked).map(|child| match libc::pid_t::try_from(child) {
        Ok(child @ 1..) => ForkResult::Parent {
            child: Pid::from_raw(child),
        },
        _ => ForkResult::Child,
    })
}

/// Makes the signals `set` wait for this thread, which blocks them. They survive an exec.
pub(crate) fn make_wait(set: u64) {
    let pid = std::process::id().cast_signed();
    let tid = nix::unistd::gettid().as_raw();
    for signal in (1..=SIGNALS).filter(|signal| set & 1 << (signal - 1) != 0) {
        // SAFETY: a signal to this thread, which blocks it.
        unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    }
}

/// Takes back what [`make_wait`] did.
pub(crate) fn take_back(set: u64) {
    for signal in (1..=SIGNALS).filter(|signal| set & 1 << (signal - 1) != 0) {
        // One that is gone needs no taking.
        let _ = take(1 << (signal - 1), 0);
    }
}

/// Returns the blocked signals that wait for this thread or the process, bit n − 1 = signal n.
pub(crate) fn waiting() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the kernel writes 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, size_of::<u64>()) };
    set
}

/// Takes one of the blocked signals `set` that wait for this thread or the process. Its `siginfo_t`
/// goes to address `info` of the program, if that is not 0. Returns its number.
pub(crate) fn take(set: u64, info: u64) -> Answer {
    let at_once = [0_u64; 2];
    let address = |words: *const u64| words.expose_provenance() as u64;
    syscall::perform(
        libc::SYS_rt_sigtimedwait.cast_unsigned(),
        [
            address(&raw const set),
            info,
            address(at_once.as_ptr()),
            size_of::<u64>() as u64,
            0,
            0,
        ],
    )
}

/// Blocks exactly the signals `mask` (bit n − 1 = signal n) in this thread. Returns the signals
/// that were blocked before.
///
/// The C library would leave out the signals it uses itself, so the kernel is told directly.
pub(crate) fn set_mask(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: the kernel reads and writes 8 bytes each.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            8_usize,
        )
    };
    before
}

/// Runs `body` with all signals blocked, for threads that must never take one.
///
/// # Errors
///
/// The mask cannot be changed.
pub(crate) fn with_all_blocked<T>(body: impl FnOnce() -> T) -> Result<T, Errno> {
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    let result = body();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    Ok(result)
}

/// Lets this thread receive `signal`.
fn unblock(signal: i32) -> Result<(), Errno> {
    // SAFETY: all zeroes is a valid set, and sigemptyset initialises it anyway.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: initialises the set it is given.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: `set` is initialised; a number that is no signal is refused.
    Errno::result(unsafe { libc::sigaddset(&raw mut set, signal) })?;
    // SAFETY: `set` is initialised.
    Errno::result(unsafe {
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut())
    })
    .map(drop)
}

/// Gives `signal` its default action.
fn reset(signal: i32) {
    // SAFETY: all zeroes is a sigaction: default action, nothing masked, no flags.
    let action: libc::sigaction = unsafe { zeroed() };
    // A signal that has no other action, and what is no signal, is refused.
    // SAFETY: takes a handler away, and puts none in its place.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

/// Dies of `signal`, so that the parent sees what it would see of the program.
pub(crate) fn die(signal: u64) -> ! {
    let signal = i32::try_from(signal).unwrap_or(libc::SIGKILL);
    reset(signal);
    // SAFETY: at worst `signal` is none and nothing happens; blocked, it is taken by `unblock`.
    unsafe { libc::raise(signal) };
    let _ = unblock(signal);
    exit(128 + signal)
}

/// Ends all threads at once, without a word to the C library.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

#[cfg(test)]
mod tests {
    use super::{die, set_mask};
    use nix::libc;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{waitpid, WaitStatus};
    use nix::unistd::{fork, ForkResult};

    #[test]
    fn death_comes_also_by_a_signal_that_was_ignored_and_blocked() {
        // SAFETY: the child makes system calls only, and ends.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                // SAFETY: ignores a signal, without a handler.
                unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
                set_mask(u64::MAX);
                die(u64::from(libc::SIGTERM.unsigned_abs()))
            }
        };
        let ended = waitpid(child, None).unwrap();
        assert_eq!(ended, WaitStatus::Signaled(child, Signal::SIGTERM, false));
    }
}
