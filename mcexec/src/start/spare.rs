// SPDX-License-Identifier: GPL-2.0
//! Descriptors for the start of a program that has none to spare: natively a program starts with a full
//! table, too.

use nix::libc;
use nix::sched::{clone, CloneFlags};

/// Stack of the thread, on the heap: a mapping would lie where the window is to be.
const STACK_BYTES: usize = 1 << 20;

/// Runs `work` in a thread with a table of descriptors of its own, which is empty, while this one sleeps.
/// Returns `None` if Linux has no room for that.
pub(crate) fn without_descriptors<T>(work: impl FnOnce() -> T) -> Option<T> {
    let mut stack = vec![0; STACK_BYTES];
    let (mut work, mut done) = (Some(work), None);
    let body = Box::new(|| {
        // SAFETY: the table is this thread's own copy, and nothing of this process has one open.
        unsafe { libc::close_range(0, libc::c_uint::MAX, 0) };
        done = work.take().map(|work| work());
        0
    });
    let flags = CloneFlags::CLONE_VM
        | CloneFlags::CLONE_FS
        | CloneFlags::CLONE_SIGHAND
        | CloneFlags::CLONE_THREAD
        | CloneFlags::CLONE_SYSVSEM
        | CloneFlags::CLONE_VFORK;
    // SAFETY: the new thread has this one's thread-local data, which sleeps until the other has ended
    // (CLONE_VFORK); stack and variables live until then.
    let cloned = unsafe { clone(body, &mut stack, flags, None) };
    cloned.ok().and(done)
}

#[cfg(test)]
mod tests {
    use super::without_descriptors;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn the_first_number_is_free_there_and_taken_here() {
        let there = without_descriptors(|| File::open("/dev/null").unwrap().as_raw_fd());
        assert_eq!(there, Some(0));
        let here = File::open("/dev/null").unwrap().as_raw_fd();
        assert!(here > 2);
    }
}
