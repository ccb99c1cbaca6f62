// SPDX-License-Identifier: GPL-2.0
//! Workers for threads: ordered, given back, told to end. Which slots they have is in
//! [`crate::task::worker_pool`].

use ihk_ikc::process::op;
use ihk_ikc::slot::Request;

use crate::errno::Errno;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::Thread;
use crate::task::worker_pool::{Place, SPARES};

/// Assigns a worker to a new thread of the current one's process. Returns the slot's index and the
/// thread id.
///
/// # Errors
///
/// `EAGAIN`: too many threads, here or on Linux; `ENOMEM`; `EINTR` if the process is being killed.
pub fn assign_worker(process: &Process) -> Result<(u32, i32), Errno> {
    let pool = &process.pool;
    let fresh_only = pool.inherits_state();
    if !fresh_only {
        if let Some(ready) = pool.take_ready(&process.slots) {
            return Ok(ready);
        }
    }
    let most_spares = if fresh_only { 0 } else { SPARES };
    let (slot, spares) = pool.take_empty(&process.slots, most_spares)?;
    let [a, b, c, d, e] = spares;
    let answer = super::call_directly(op::NEW_WORKER, [u64::from(slot), a, b, c, d, e]);
    match answer.map(i32::try_from) {
        Ok(Ok(tid @ 1..)) => Ok((slot, tid)),
        refused => {
            for index in spares.into_iter().filter_map(|index| index.try_into().ok()) {
                if index != 0 {
                    pool.set(index, Place::Empty);
                }
            }
            pool.set(slot, Place::Empty);
            Err(refused.err().unwrap_or(Errno::EIO))
        }
    }
}

/// A thread that was to have `slot` did not come to be.
pub fn give_back(process: &Process, slot: u32) {
    process.pool.set(slot, Place::Ordered);
}

/// Releases the worker of `thread`, which ends: it waits for another thread, or is told to end.
pub fn release_worker(process: &Process, thread: &Thread) {
    let slot = thread.slot;
    if slot == 0 {
        return; // the main thread's worker is the process's first thread on Linux: it stays
    }
    let marked = thread.data.shown.is_marked();
    if !process.pool.retire(slot, marked) {
        send_home(process, slot);
    }
}

/// The current thread is about to change what its worker is to Linux. With `inherited`, new threads
/// would inherit that, so no worker that exists may serve them.
pub fn mark_current(inherited: bool) {
    let thread = sched::current();
    thread.data.shown.mark();
    let Some(process) = thread.process.as_ref().filter(|_| inherited) else {
        return;
    };
    for slot in process.pool.begin_inheriting_state() {
        send_home(process, slot);
    }
}

/// Tells the worker of slot `index`, which serves no thread, to end. A slot that is broken stays as it is.
fn send_home(process: &Process, index: u32) {
    let request = Request {
        number: op::WORKER_EXIT,
        args: [0; 6],
    };
    let slot = process.slots.slot(index);
    let _ = super::post(process, index, slot, &request);
}
