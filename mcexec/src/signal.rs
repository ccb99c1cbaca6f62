// SPDX-License-Identifier: GPL-2.0
//! Signals that Linux delivers to this process and the program is to see, and death by signal.
//!
//! Whichever thread Linux chooses sends it to the co-kernel, which knows the masks of the program's
//! threads; a worker says whose it is, as the signal may be meant for its thread. Which thread takes
//! what: [`crate::mask`]. If a signal is to interrupt a delegated call, the co-kernel says so, see
//! [`crate::cancel`].

use std::mem::zeroed;
use std::ptr;

use ihk_ikc::process::disposition;
use ihk_ikc::uapi::ForwardSignal;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow};

use crate::start::inherited::SIGNALS;
use crate::{cancel, device, function, mask, syscall};

/// How often a handler tries again while the way to the co-kernel is jammed.
const TRIES: u32 = 1000;

/// What Linux delivers to this process in `signal` is from now on the program's `wanted`
/// ([`disposition`]), with those of `flags` that concern children.
///
/// # Errors
///
/// `EINVAL` for what is no signal, or one that cannot be caught.
pub(crate) fn set_disposition(signal: u64, wanted: u64, flags: u64) -> Result<(), Errno> {
    let signal = i32::try_from(signal).map_err(|_| Errno::EINVAL)?;
    if function::owns(signal) {
        return Ok(());
    }
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
        mask::set_forwarded(signal, false);
    }
    let child_flags = libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT;
    action.sa_flags |= i32::try_from(flags).map_err(|_| Errno::EINVAL)? & child_flags;
    // SAFETY: the handler is safe to run at any point of any thread, see there.
    Errno::result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    if wanted == disposition::FORWARD {
        cancel::let_control_take(signal);
        mask::set_forwarded(signal, true);
    }
    Ok(())
}

/// What Linux sends to the very thread whose call brought it about.
fn is_earned(signal: i32) -> bool {
    matches!(signal, libc::SIGPIPE | libc::SIGXFSZ)
}

fn is_fault(signal: i32) -> bool {
    matches!(
        signal,
        libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL | libc::SIGTRAP
    )
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

/// Sends a signal that this process received to the program.
///
/// Async-signal-safe: one ioctl; errno is put back.
extern "C" fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid siginfo.
    send_on(signal, unsafe { &*info });
}

/// Sends a signal that this thread took to the program.
///
/// Async-signal-safe, see [`forward`].
pub(crate) fn send_on(signal: libc::c_int, info: &libc::siginfo_t) {
    let errno = Errno::last();
    syscall::note_signal();
    let forwarded = describe(signal, info);
    for _ in 0..TRIES {
        if device::forward_signal(forwarded) != Err(Errno::EAGAIN) {
            break;
        }
        std::thread::yield_now();
    }
    errno.set();
}

fn describe(signal: libc::c_int, info: &libc::siginfo_t) -> ForwardSignal {
    // SAFETY: for signals sent by a process these fields are set; for others they are some other
    // initialised words of the same structure. So are the next two.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let uid = unsafe { info.si_uid() };
    // SAFETY: as above.
    let value = unsafe { info.si_value() };
    // Sent to this thread, or perhaps so (timers, queued ones), or earned by a call of it.
    let to_thread = info.si_code < 0 || is_earned(signal);
    let thread = cancel::own_slot()
        .filter(|_| to_thread)
        .map_or(0, |slot| slot + 1);
    ForwardSignal {
        signal: signal.cast_unsigned(),
        code: info.si_code,
        pid: pid.cast_unsigned(),
        uid,
        value: value.sival_ptr.addr() as u64,
        thread,
        reserved: 0,
    }
}

/// Has the signals `set` wait for this thread, which blocks them; they survive an exec.
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

/// The blocked signals that wait for this thread or the process, bit n − 1 = signal n.
pub(crate) fn waiting() -> u64 {
    let mut set = 0_u64;
    // SAFETY: the kernel writes 8 bytes.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut set, size_of::<u64>()) };
    set
}

/// Takes one of the blocked signals `set` that wait for this thread or the process, its `siginfo_t`
/// going to address `info` of the program, if that is not 0. Its number or a negative errno.
pub(crate) fn take(set: u64, info: u64) -> i64 {
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

/// Blocks exactly the signals `mask` (bit n − 1 = signal n) in this thread; what was blocked before.
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

/// Dies of `signal`, so that the parent sees what it would see of the program.
pub(crate) fn die(signal: u64) -> ! {
    let signal = i32::try_from(signal).unwrap_or(libc::SIGKILL);
    let _ = set_disposition(u64::from(signal.unsigned_abs()), disposition::DEFAULT, 0);
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
