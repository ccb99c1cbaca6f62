// SPDX-License-Identifier: GPL-2.0
//! The end of a thread.

use core::sync::atomic::Ordering;

use crate::arch::uaccess;
use crate::syscall::futex;
use crate::task::sched;
use crate::task::thread::Thread;

/// Ends the current thread: tells who waits for its end, leaves its process, leaves the CPU.
pub fn end_thread() -> ! {
    leave();
    sched::exit_current()
}

/// Everything that holds references, so that they are dropped before the stack is left for good.
fn leave() {
    let me = sched::current_arc();
    let Some(process) = &me.process else {
        return;
    };
    // Other processes may wait for what it holds.
    futex::robust::release_all(&me);
    // Nobody is left to care in a process that ends as a whole.
    if !process.is_dying() {
        futex::pi::release_all(process, &me);
        clear_child_tid(&me);
        futex::robust::untell_linux(&me);
    }
    process.remove_current(&me);
}

fn clear_child_tid(thread: &Thread) {
    let address = thread.data.clear_child_tid.swap(0, Ordering::Relaxed);
    if address != 0 && uaccess::write(address, &0u32).is_ok() {
        futex::wake_one(address);
    }
}
