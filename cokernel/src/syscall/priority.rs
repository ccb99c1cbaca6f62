// SPDX-License-Identifier: GPL-2.0
//! Policies and priorities of threads. Linux judges and keeps them, as those of workers; then it tells the
//! co-kernel, which obeys them.

use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate::{self, pool};
use crate::errno::SyscallResult;
use crate::task::{process, sched};
use crate::user_memory::int;

/// The kind of target of setpriority(2) that is one thread.
const PRIO_PROCESS: u64 = 0;

/// sched_setscheduler(2), sched_setparam(2) and sched_setattr(2).
pub fn set_scheduling(frame: &mut UserFrame) -> SyscallResult {
    let [tid, ..] = frame.args();
    let result = perform(frame)?;
    look_at(int(tid));
    Ok(result)
}

/// setpriority(2).
pub fn setpriority(frame: &mut UserFrame) -> SyscallResult {
    let [which, who, ..] = frame.args();
    let result = perform(frame);
    // Of several, those that the caller may change have changed, even if it may not change others.
    if which == PRIO_PROCESS {
        look_at(int(who));
    } else {
        process::for_each_thread(|thread| ask(thread.data.tid));
    }
    result
}

/// Threads that the caller makes from now on inherit what it changes.
fn perform(frame: &UserFrame) -> SyscallResult {
    pool::mark_current(true);
    delegate::call_directly(frame.number(), frame.args())
}

/// Thread `tid` (0 = the caller), if it runs on the co-kernel, may be scheduled otherwise now.
fn look_at(tid: i32) {
    let me = sched::current().data.tid;
    if tid == 0 || tid == me {
        ask(me);
    } else if process::find_thread(tid).is_some() {
        ask(tid);
    }
}

fn ask(tid: i32) {
    // It fails for a thread that has ended, or if the process is being killed.
    let _ = delegate::ask(
        op::SCHEDULING,
        [u64::from(tid.unsigned_abs()), 0, 0, 0, 0, 0],
    );
}
