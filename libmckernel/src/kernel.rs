// SPDX-License-Identifier: GPL-2.0
//! The kernel's side of the library: system calls, and the words that threads sleep on.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;

use ihk_ikc::process::op;

/// `-EINTR`.
pub(crate) const EINTR: i64 = -(libc::EINTR as i64);

/// The kernel that runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Linux alone.
    Native,
    /// The co-kernel, with a proxy on Linux.
    Cokernel,
}

impl Kernel {
    /// The one that runs this program.
    pub(crate) fn detect() -> Self {
        let word = AtomicU32::new(0);
        if Self::Cokernel.futex(&word, libc::FUTEX_WAKE, 1) < 0 {
            Self::Native
        } else {
            Self::Cokernel
        }
    }

    /// Sleeps while `word` is `value`, or until it is woken, or for no reason.
    pub(crate) fn sleep(self, word: &AtomicU32, value: u32) {
        self.futex(word, libc::FUTEX_WAIT, value);
    }

    /// Wakes all who sleep on `word`.
    pub(crate) fn wake(self, word: &AtomicU32) {
        self.futex(word, libc::FUTEX_WAKE, i32::MAX.unsigned_abs());
    }

    fn futex(self, word: &AtomicU32, operation: i32, value: u32) -> i64 {
        let number = match self {
            Self::Native => libc::SYS_futex.cast_unsigned(),
            Self::Cokernel => op::QUEUE_FUTEX,
        };
        let operation = u64::from((operation | libc::FUTEX_PRIVATE_FLAG).unsigned_abs());
        let word = std::ptr::from_ref(word).addr() as u64;
        // SAFETY: the kernel reads one word, which the reference keeps alive, and writes nothing.
        unsafe { system_call(number, [word, operation, u64::from(value), 0, 0, 0]) }
    }
}

/// Makes a system call as it is; the result or a negative errno. `errno` stays untouched.
///
/// # Safety
///
/// That of the call.
pub(crate) unsafe fn system_call(number: u64, args: [u64; 6]) -> i64 {
    let result;
    // SAFETY: the kernel keeps all registers but these; what it does to memory is the caller's
    // promise.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// The number of forks by which this process came about since [`count_forks`] was called first.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::AcqRel);
}

/// Begins to count, once.
pub(crate) fn count_forks() {
    static ONCE: Once = Once::new();
    // SAFETY: the handler does nothing but count. If there is no memory for it, forks are not seen.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    });
}

/// The number of forks by which this process came about.
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Acquire)
}

/// Runs `body` with all signals blocked.
pub(crate) fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    // SAFETY: all zeroes is a set.
    let (mut all, mut before) = unsafe { std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>() };
    // SAFETY: a set of ours.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: sets of ours.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let result = body();
    // SAFETY: the set that was there before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// The calling thread's pointer to its control block, which is its FS base.
pub(crate) fn thread_pointer() -> u64 {
    let pointer;
    // SAFETY: on x86-64 the first word of the control block is its own address.
    unsafe { std::arch::asm!("mov {}, fs:[0]", out(reg) pointer, options(nostack, readonly)) };
    pointer
}
