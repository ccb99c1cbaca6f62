// SPDX-License-Identifier: GPL-2.0
//! System calls: the table decides, the result becomes a register. Hop 2 of a delegated call.

mod advice;
mod arch_prctl;
mod brk;
mod clone;
mod execve;
mod exit;
mod fork;
pub mod futex;
mod identity;
mod itimer;
mod kill;
mod madvise;
mod masked;
mod mempolicy;
mod mlock;
mod mmap;
mod move_pages;
mod mprotect;
mod mremap;
mod munmap;
mod pkey;
mod posix_timer;
mod prctl;
mod priority;
mod protection;
mod rlimit;
mod robust_list;
mod sched;
mod shm;
mod sigaction;
mod sigaltstack;
mod sigmask;
mod signalfd;
mod sigreturn;
mod sigwait;
mod sleep;
pub mod table;
mod times;

use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate::{self, pool};
use crate::errno::{Errno, SyscallResult};
use crate::klog;
use crate::process::signal::restart;
use crate::syscall::table::{Route, Row};
use crate::task::current;

/// Performs the system call `frame` asks for and puts the result into it. A part of the entry, which is where the
/// instructions count: by itself it would save and restore more registers than a local call changes.
#[inline(always)]
pub fn dispatch(frame: &mut UserFrame) {
    let number = frame.number();
    let answer = match table::find(number) {
        Some(row) => match row.route {
            Route::Local(function) => function(frame),
            Route::Delegated => delegate::call(row.number, frame.args()),
            Route::Inherited => inherited(row, frame),
            Route::Refused(errno) => refused(row, errno),
        },
        None if op::is_for_programs(number) => delegate::call_directly(number, frame.args()),
        None => Err(Errno::ENOSYS),
    };
    frame.set_return(answer);
    restart::note(answer);
}

/// A call that changes what threads inherit.
#[inline(never)]
fn inherited(row: &Row, frame: &UserFrame) -> SyscallResult {
    pool::mark_current(true);
    let answer = delegate::call_directly(row.number, frame.args());
    // It may have changed the user.
    current::process().signal_account.forget();
    answer
}

#[cold]
fn refused(row: &Row, errno: Errno) -> SyscallResult {
    if row.is_first_refusal() {
        klog!(
            "system call {} ({}) refused: {errno:?}",
            row.name,
            row.number
        );
    }
    Err(errno)
}
