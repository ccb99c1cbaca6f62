// SPDX-License-Identifier: GPL-2.0
//! Interrupts the call that a worker performs, when the co-kernel has a signal for its thread.
//!
//! The control thread hears of the signal and sends the worker [`INTERRUPT`]. The C library keeps
//! this number for itself, and therefore neither blocks it nor lets a program have it. The handler
//! checks whether the call is still to be interrupted, and does so by the means of
//! [`crate::syscall`].

use std::arch::global_asm;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::gettid;

use super::forward::send_on;
use super::own_slot;
use super::raw::{self, send_interrupt, INTERRUPT};
use super::worker_mask::{self, CONTROL_MASK};
use crate::syscall;

/// `SA_RESTORER`: Linux demands it on x86-64.
const HAS_RESTORER: u64 = 0x0400_0000;

/// Thread id of the control thread, or 0 before there is one.
static CONTROL: AtomicI32 = AtomicI32::new(0);
/// The signals that the control thread does block; see [`CONTROL_MASK`].
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// The longest that is waited for the control thread to change its mask. It is asleep, or takes a
/// signal.
const MASK_TIMEOUT: Duration = Duration::from_millis(200);

global_asm!(
    ".pushsection .text.mcexec_restorer,\"ax\",@progbits",
    ".globl mcexec_restorer",
    ".type mcexec_restorer,@function",
    "mcexec_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
    ".size mcexec_restorer, . - mcexec_restorer",
    ".popsection",
);

extern "C" {
    fn mcexec_restorer();
}

/// Linux's `struct kernel_sigaction`.
#[repr(C)]
struct KernelAction {
    handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
    flags: u64,
    restorer: unsafe extern "C" fn(),
    mask: u64,
}

/// Sets the handler up, for all threads.
///
/// # Errors
///
/// Linux refuses the handler.
pub(crate) fn install() -> Result<(), Errno> {
    let flags = libc::SA_SIGINFO | libc::SA_RESTART;
    let action = KernelAction {
        handler: on_interrupt,
        flags: u64::from(flags.unsigned_abs()) | HAS_RESTORER,
        restorer: mcexec_restorer,
        mask: u64::MAX,
    };
    // SAFETY: the structure is what Linux expects; the C library's own function refuses this
    // number. The handler is safe to run at any point of any thread, see there.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            INTERRUPT,
            &raw const action,
            std::ptr::null_mut::<KernelAction>(),
            size_of::<u64>(),
        )
    };
    Errno::result(result).map(drop)
}

/// Makes this thread the control thread.
pub(crate) fn become_control() {
    let tid = gettid().as_raw();
    CONTROL.store(tid, Ordering::SeqCst);
    // A thread that changed the mask before this saw no control thread, and sent it nothing.
    let wanted = CONTROL_MASK.load(Ordering::SeqCst);
    raw::set_mask(wanted);
    BLOCKED.store(wanted, Ordering::SeqCst);
    if CONTROL_MASK.load(Ordering::SeqCst) != wanted {
        send_interrupt(tid);
    }
}

/// Notes that there is no control thread yet: after a fork, and at the start, when `blocked` are
/// the signals that were inherited as blocked.
pub(crate) fn forget_control(blocked: Option<u64>) {
    CONTROL.store(0, Ordering::SeqCst);
    if let Some(blocked) = blocked {
        CONTROL_MASK.store(blocked, Ordering::SeqCst);
    }
}

/// Has the control thread's wait in mcctrl end with `EINTR`.
pub(crate) fn wake_control() {
    let tid = CONTROL.load(Ordering::SeqCst);
    if tid != 0 {
        send_interrupt(tid);
    }
}

/// Makes the control thread block exactly `mask`. Returns when it does, or when that takes too
/// long.
pub(crate) fn set_control_mask(mask: u64) {
    let before = CONTROL_MASK.swap(mask, Ordering::SeqCst);
    if worker_mask::forwarded_of(before ^ mask) != 0 {
        // Others are not taken by idle workers, or the co-kernel says so with the same request.
        worker_mask::renew_idle();
    }
    ask_control();
    let began = Instant::now();
    while BLOCKED.load(Ordering::SeqCst) != mask && began.elapsed() < MASK_TIMEOUT {
        std::thread::yield_now();
    }
}

/// Interrupts the call of the worker with that thread id, if it is still to be interrupted.
pub(crate) fn interrupt_worker(tid: u32) {
    if let Some(tid) = libc::pid_t::try_from(tid).ok().filter(|tid| *tid > 0) {
        send_interrupt(tid);
    }
}

/// Lets the control thread take `signal` even if the process inherited it as blocked, because the
/// program's own mask is the co-kernel's business.
pub(crate) fn let_control_take(signal: libc::c_int) {
    CONTROL_MASK.fetch_and(!(1 << (signal - 1)), Ordering::SeqCst);
    ask_control();
}

fn ask_control() {
    let control = CONTROL.load(Ordering::SeqCst);
    if control != 0 {
        send_interrupt(control);
    }
}

/// Handles [`INTERRUPT`]. A worker interrupts its call, if that is still wanted, or brings its mask
/// up to date if it is idle. The control thread brings its mask up to date. Masks take effect with
/// the return from here. If somebody else sent the signal (a timer of the C library), the program
/// gets it.
///
/// Async-signal-safe: atomics, the interrupted context, [`send_on`].
extern "C" fn on_interrupt(
    number: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid siginfo.
    let info = unsafe { &*info };
    if !is_ours(info) {
        return send_on(number, info);
    }
    // SAFETY: the kernel hands a handler with SA_SIGINFO the interrupted context, ours to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    match own_slot::shared() {
        Some(slot) if slot.is_cancelled() => interrupt_at(context),
        Some(_) => {
            if let Some(mask) = worker_mask::renewed() {
                set_mask_in(context, mask);
            }
        }
        None => {
            let wanted = CONTROL_MASK.load(Ordering::SeqCst);
            set_mask_in(context, wanted);
            BLOCKED.store(wanted, Ordering::SeqCst);
        }
    }
}

fn is_ours(info: &libc::siginfo_t) -> bool {
    // SAFETY: signals of `tgkill` tell who sent them.
    info.si_code == libc::SI_TKILL && unsafe { info.si_pid() } == std::process::id().cast_signed()
}

fn interrupt_at(context: &mut libc::ucontext_t) {
    if let Some(counter) = context.uc_mcontext.gregs.get_mut(libc::REG_RIP as usize) {
        if let Some(instead) = syscall::interrupt(counter.cast_unsigned()) {
            *counter = instead.cast_signed();
        }
    }
}

fn set_mask_in(context: &mut libc::ucontext_t, mask: u64) {
    let place = (&raw mut context.uc_sigmask).cast::<u64>();
    // SAFETY: a set of the C library begins with the kernel's 64 bits, which are all Linux reads.
    unsafe { place.write(mask) };
}
