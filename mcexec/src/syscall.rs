// SPDX-License-Identifier: GPL-2.0
//! Hop 6.4 of a delegated call: the one `syscall` instruction that is executed for the program.
//!
//! A signal that is forwarded to the program must also end the call that blocks, without a moment
//! in which it is missed. So the handler sets [`INTERRUPTED`] and looks which instruction it
//! interrupted. If that lies between the check of the flag and the `syscall` instruction, the
//! handler makes the call answer "restart me" instead. (Linux goes back to the instruction when a
//! call is restartable.)
//!
//! The co-kernel then delivers the signal, and restarts the call if the program's handler wants it.
//! A call that had not begun is always restarted, as if the signal had come before it.

use std::arch::global_asm;
use std::sync::atomic::{AtomicU32, Ordering};

use ihk_ikc::errno::{self, Errno};

/// The signal came before the call: the handler runs, then the call.
const NOT_BEGUN: Errno = Errno::ERESTARTNOINTR;
/// Nothing was done, and the call may be restarted.
const RESTART: Errno = Errno::ERESTARTSYS;

/// The answer of a call that was made for the program.
pub(crate) type Answer = Result<u64, Failure>;

/// An error of a call. It may be one of Linux's codes for calls that may be restarted, which the C
/// library has no error number for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(Errno);

impl From<nix::errno::Errno> for Failure {
    fn from(errno: nix::errno::Errno) -> Self {
        Self(Errno::new(errno as i32))
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self(errno)
    }
}

impl From<Failure> for Errno {
    fn from(Failure(errno): Failure) -> Self {
        errno
    }
}

impl Failure {
    /// Returns whether the call was interrupted, or had not begun when a signal came.
    #[must_use]
    pub(crate) const fn is_interruption(self) -> bool {
        matches!(
            self.0,
            RESTART | Errno::ERESTARTNOHAND | NOT_BEGUN | Errno::EINTR
        )
    }
}

thread_local! {
    /// Whether this thread's call, or its next one, is still to be interrupted.
    static INTERRUPTED: AtomicU32 = const { AtomicU32::new(0) };
    /// Whether this thread has sent a signal on since its call began.
    static SENT_ON: AtomicU32 = const { AtomicU32::new(0) };
}

global_asm!(
    ".pushsection .text.mcexec_syscall,\"ax\",@progbits",
    ".globl mcexec_syscall",
    ".type mcexec_syscall,@function",
    "mcexec_syscall:", // rdi: number and six arguments; rsi: the flag
    "mov r11, rsi",
    "mov rax, [rdi]",
    "mov rsi, [rdi + 16]",
    "mov rdx, [rdi + 24]",
    "mov r10, [rdi + 32]",
    "mov r8, [rdi + 40]",
    "mov r9, [rdi + 48]",
    "mov rdi, [rdi + 8]",
    ".globl mcexec_syscall_check",
    "mcexec_syscall_check:",
    "cmp dword ptr [r11], 0",
    "jne mcexec_syscall_not_begun",
    ".globl mcexec_syscall_instruction",
    "mcexec_syscall_instruction:",
    "syscall",
    "ret",
    ".globl mcexec_syscall_not_begun",
    "mcexec_syscall_not_begun:",
    "mov rax, {not_begun}",
    "ret",
    ".globl mcexec_syscall_interrupted",
    "mcexec_syscall_interrupted:",
    "mov rax, {restart}",
    "ret",
    ".size mcexec_syscall, . - mcexec_syscall",
    ".popsection",
    not_begun = const errno::encode(Err(NOT_BEGUN)).cast_signed(),
    restart = const errno::encode(Err(RESTART)).cast_signed(),
);

extern "C" {
    fn mcexec_syscall(words: *const [u64; 7], interrupted: *const AtomicU32) -> u64;
    static mcexec_syscall_check: u8;
    static mcexec_syscall_instruction: u8;
    static mcexec_syscall_not_begun: u8;
    static mcexec_syscall_interrupted: u8;
}

/// Performs system call `number`.
///
/// The caller has made sure that the call does not act on mcexec itself: its memory, its threads,
/// its handlers, its descriptor. Addresses among the arguments are the program's; Linux checks
/// them against the window like any others. A program that passes addresses outside its window
/// can harm its own proxy, which is all that runs in this process.
pub(crate) fn perform(number: u64, args: [u64; 6]) -> Answer {
    let [a, b, c, d, e, f] = args;
    SENT_ON.with(|sent_on| sent_on.store(0, Ordering::Relaxed));
    let answer = INTERRUPTED.with(|interrupted| {
        // SAFETY: the stub preserves what the C convention wants preserved; what Linux does to
        // memory is the program's to answer for, see above.
        let word = unsafe { mcexec_syscall(&[number, a, b, c, d, e, f], interrupted) };
        let answer = errno::decode(word).map_err(Failure);
        if answer.is_err_and(Failure::is_interruption) {
            interrupted.store(0, Ordering::Relaxed);
        }
        answer
    });
    if answer == Err(Failure(Errno::EINTR))
        && SENT_ON.with(|sent_on| sent_on.load(Ordering::Relaxed)) != 0
    {
        // Only the co-kernel knows whether the thread has a handler to run, and when.
        return Err(Failure(Errno::ERESTARTNOHAND));
    }
    answer
}

/// Notes that a signal is sent on to the co-kernel. Signal handlers call this.
pub(crate) fn note_signal() {
    SENT_ON.with(|sent_on| sent_on.store(1, Ordering::Relaxed));
}

/// Interrupts this thread's call in flight, or the next one. Signal handlers call this:
/// `instruction` is the one that the handler interrupted. Returns where to go on instead, if it
/// must be elsewhere.
#[must_use]
pub(crate) fn interrupt(instruction: u64) -> Option<u64> {
    // A constant without destructor: the access does nothing but compute an address.
    INTERRUPTED.with(|interrupted| interrupted.store(1, Ordering::Relaxed));
    let address = |label: *const u8| label.addr() as u64;
    let first = address(&raw const mcexec_syscall_check);
    let last = address(&raw const mcexec_syscall_instruction);
    if instruction == last {
        // Linux usually went back here from inside a call.
        Some(address(&raw const mcexec_syscall_interrupted))
    } else if (first..last).contains(&instruction) {
        Some(address(&raw const mcexec_syscall_not_begun))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{perform, Errno, Failure, INTERRUPTED, NOT_BEGUN};
    use nix::libc;
    use std::sync::atomic::Ordering;

    #[test]
    fn calls_reach_linux_and_an_interrupted_one_does_not() {
        let pid = Ok(std::process::id().into());
        assert_eq!(perform(libc::SYS_getpid.cast_unsigned(), [0; 6]), pid);
        assert_eq!(
            perform(libc::SYS_close.cast_unsigned(), [u64::MAX, 0, 0, 0, 0, 0]),
            Err(Failure(Errno::new(libc::EBADF)))
        );
        let text = b"hello";
        let mut pipe = [0; 2];
        let create = [pipe.as_mut_ptr().expose_provenance() as u64, 0, 0, 0, 0, 0];
        assert_eq!(perform(libc::SYS_pipe2.cast_unsigned(), create), Ok(0));
        let [_, writer] = pipe.map(i64::from).map(i64::cast_unsigned);
        let write = [writer, text.as_ptr().expose_provenance() as u64, 5, 0, 0, 0];
        assert_eq!(perform(libc::SYS_write.cast_unsigned(), write), Ok(5));
        INTERRUPTED.with(|interrupted| interrupted.store(1, Ordering::Relaxed));
        let not_begun = perform(libc::SYS_getpid.cast_unsigned(), [0; 6]);
        assert_eq!(not_begun, Err(Failure(NOT_BEGUN)));
        assert!(not_begun.is_err_and(Failure::is_interruption));
        assert_eq!(perform(libc::SYS_getpid.cast_unsigned(), [0; 6]), pid);
    }
}
