// SPDX-License-Identifier: GPL-2.0
//! What a child of fork tells its parent: that it is about to run its program, or why it is not. It takes
//! no descriptor, of which the program may have none left.
//!
//! ```text
//!  PENDING ── the child writes, once, and wakes ──► READY, or an error
//!     └── the child has died before: the parent sees that, at the latest after [`LOOK_EVERY`]
//! ```
//! The word has one writer, the child, and one reader, the parent; each unmaps its own side.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
use nix::unistd::Pid;

const PENDING: u32 = 0;
const READY: u32 = u32::MAX;
/// How long the parent sleeps before it looks whether the child still lives.
static LOOK_EVERY: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// Size of the mapping.
const BYTES: usize = 4096;

/// The word, in memory that survives the fork.
pub(super) struct ForkAnswer(&'static AtomicU32);

impl ForkAnswer {
    /// Maps a word.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: Linux has no room.
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: new memory, where Linux finds room.
        let word = unsafe { libc::mmap(ptr::null_mut(), BYTES, rights, flags, -1, 0) };
        if word == libc::MAP_FAILED {
            return Err(Errno::EAGAIN);
        }
        // SAFETY: it is zeroed, aligned, and mapped until `drop`; both sides use it as an atomic.
        Ok(Self(unsafe { &*word.cast::<AtomicU32>() }))
    }

    /// The child tells how it went.
    pub(super) fn tell(&self, result: Result<(), Errno>) {
        let word = result.map_or_else(|errno| errno as u32, |()| READY);
        self.0.store(word, Ordering::Release);
        // SAFETY: the address is the word's; the call reads nothing else.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, 1) };
    }

    /// The parent waits for what `child` tells. One that has died on its way has existed, and the program
    /// may wait for it.
    ///
    /// # Errors
    ///
    /// The error that the child met.
    pub(super) fn hear(&self, child: Pid) -> Result<(), Errno> {
        loop {
            match self.0.load(Ordering::Acquire) {
                PENDING => {}
                READY => return Ok(()),
                errno => return Err(Errno::from_raw(errno.cast_signed())),
            }
            // SAFETY: the addresses are the word's and the time's; the call writes nothing.
            let slept = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT,
                    PENDING,
                    &raw const LOOK_EVERY,
                )
            };
            if slept == -1 && Errno::last() == Errno::ETIMEDOUT && has_died(child) {
                // It may have told before.
                return match self.0.load(Ordering::Acquire) {
                    PENDING | READY => Ok(()),
                    errno => Err(Errno::from_raw(errno.cast_signed())),
                };
            }
        }
    }
}

impl Drop for ForkAnswer {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody has the address any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}

fn has_died(child: Pid) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    !matches!(waitid(Id::Pid(child), look), Ok(WaitStatus::StillAlive))
}

#[cfg(test)]
mod tests {
    use super::ForkAnswer;
    use nix::errno::Errno;
    use nix::sys::wait::waitpid;
    use nix::unistd::{fork, ForkResult, Pid};

    /// Runs `body` in a child and returns what its parent hears.
    fn heard(body: impl FnOnce(&ForkAnswer)) -> Result<(), Errno> {
        let answer = ForkAnswer::new().unwrap();
        // SAFETY: the child calls `body` and ends; that allocates nothing.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                body(&answer);
                // SAFETY: ends the child without running anything of the test.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                let heard = answer.hear(child);
                waitpid(child, None).unwrap();
                heard
            }
        }
    }

    #[test]
    fn the_parent_hears_what_the_child_tells() {
        assert_eq!(heard(|answer| answer.tell(Ok(()))), Ok(()));
        let failed = |answer: &ForkAnswer| answer.tell(Err(Errno::ENOMEM));
        assert_eq!(heard(failed), Err(Errno::ENOMEM));
    }

    #[test]
    fn a_child_that_dies_first_has_existed() {
        assert_eq!(heard(|_| {}), Ok(()));
        assert!(super::has_died(Pid::from_raw(i32::MAX)));
    }
}
