// SPDX-License-Identifier: GPL-2.0
//! The queues of the threads that wait at a word.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::DerefMut;

pub use cokernel_logic::futex_queue::Key;
use cokernel_logic::futex_queue::{self, take, List};
use cokernel_logic::syscall::futex::{check_requeue, op, ALL};
use ihk_ikc::syscalls::number;

use crate::arch::time::{self, Deadline};
use crate::arch::{relax, uaccess};
use crate::delegate::call_directly;
use crate::errno::{Errno, SyscallResult};
use crate::futex::time::Limit;
use crate::mm::{fault, mirror};
use crate::sync::SpinLock;
use crate::task::process::Process;
use crate::task::thread::Thread;
use crate::task::{current, sched};
use crate::{ikc, kargs};

const BUCKETS: usize = 256;

/// The place of a word's queue.
pub enum Queue {
    /// Here.
    Own(Key),
    /// The word is in a mirrored area: Linux's own queue has everybody who waits there.
    Linux,
}

/// A thread that waits.
pub type Waiter = futex_queue::Waiter<Arc<Thread>, SpinLock<Key>>;
/// The waiters of a bucket.
pub type Waiters = List<Arc<Thread>, SpinLock<Key>>;

static WAITERS: [SpinLock<Waiters>; BUCKETS] = [const { SpinLock::new(Vec::new()) }; BUCKETS];

/// The place where waiters at `address` of the current process wait. `private`: processes that share the
/// word do not meet.
///
/// # Errors
///
/// `EINVAL` if it is misaligned, `EFAULT` if shared memory is not there.
pub fn find(address: u64, private: bool) -> Result<Queue, Errno> {
    if address % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    let process = current::process();
    let space = &process.space;
    loop {
        let found = space.with(|inner| match inner.areas.find(address) {
            Some(area) if mirror::is_mirrored(&area) => Some(Queue::Linux),
            Some(area) if area.attributes.shared && !private => {
                let mapping = inner.table.lookup(address)?;
                let inside = address & (mapping.size.bytes() - 1);
                let place = mapping.pa.as_u64() + inside;
                Some(Queue::Own(Key::shared(place, address)))
            }
            // At an address without memory, only the process's own words may be asked for.
            None if !private => None,
            // Under the lock of its bucket nobody can wait for Linux.
            Some(area) if area.attributes.source != 0 && inner.table.lookup(address).is_none() => {
                None
            }
            _ => Some(Queue::Own(Key::own(space.owner(), address))),
        });
        if let Some(found) = found {
            return Ok(found);
        }
        fault::bring_in(process, address, false)?;
    }
}

/// Locks the bucket of the word at `key`.
pub fn lock(key: Key) -> impl DerefMut<Target = Waiters> {
    futex_queue::lock(&WAITERS, key)
}

/// The current thread, waiting at `key`.
pub fn waiter(key: Key, bits: u32, owns: bool) -> Arc<Waiter> {
    let thread = sched::current_arc();
    let rank = thread.data.entity.standing().own_rank();
    Waiter::new(key, bits, owns, rank, thread)
}

/// Takes `waiter` out of its bucket, wherever that is by now. Whether it was woken before.
pub fn withdraw(waiter: &Arc<Waiter>) -> bool {
    waiter.withdraw(&WAITERS)
}

/// Looks for a while whether the current thread `is_woken`, as long as nobody else wants the CPU and
/// nothing else wants the thread: whoever wakes it then rings nobody.
fn look(is_woken: impl Fn() -> bool) {
    let thread = sched::current();
    let deadline = Deadline::after_us(kargs::poll_us());
    while !is_woken() {
        if sched::others_runnable() || thread.needs_return_work() || deadline.passed() {
            return;
        }
        ikc::poll();
        relax();
    }
}

/// The current thread sleeps until it `is_woken`, out of time, or wanted elsewhere.
pub fn sleep(process: &Process, limit: Limit, is_woken: impl Fn() -> bool) -> SyscallResult {
    look(&is_woken);
    let thread = sched::current();
    loop {
        sched::prepare_to_block();
        if is_woken() {
            sched::cancel_block();
            return Ok(0);
        }
        // Stopping the process does not end the wait: its time limit goes on.
        if process.is_dying() || thread.data.signals.has_deliverable(&process.signals) {
            sched::cancel_block();
            thread.request_return_work();
            return Err(limit.interrupted());
        }
        // Asked for each time, after the thread can be woken: who sets a clock wakes it.
        let deadline = limit.deadline_ns(time::real_offset_ns());
        if !sched::block_prepared(deadline) {
            return Err(Errno::ETIMEDOUT);
        }
    }
}

/// Puts `waiter` into the queue at `key`, if the word is `expected`.
///
/// # Errors
///
/// `EAGAIN` if it is not, `EFAULT`.
pub fn enter(key: Key, waiter: &Arc<Waiter>, expected: u32) -> Result<(), Errno> {
    let mut waiters = lock(key);
    if load(key)? != expected {
        return Err(Errno::EAGAIN);
    }
    futex_queue::add(&mut waiters, waiter.clone());
    Ok(())
}

/// Waits at `key` while the word is `expected`.
pub fn wait(key: Key, expected: u32, bits: u32, limit: Limit) -> SyscallResult {
    let waiter = waiter(key, bits, false);
    enter(key, &waiter, expected)?;
    let outcome = sleep(current::process(), limit, || waiter.is_woken());
    if withdraw(&waiter) {
        Ok(0)
    } else {
        outcome
    }
}

/// The word, under the lock of its bucket.
pub fn load(key: Key) -> Result<u32, Errno> {
    mirror::without_waiting(|| uaccess::load_u32(key.address)).map_err(|_| Errno::EFAULT)
}

/// The words of `process` that somebody waits to own.
pub fn wanted(process: &Process) -> Vec<Key> {
    futex_queue::wanted(&WAITERS, |thread: &Arc<Thread>| {
        let own = thread.process.as_ref();
        own.is_some_and(|own| own.handle == process.handle)
    })
}

/// Wakes up to `count` who wait at `key` for one of `bits`; how many.
pub fn wake(key: Key, count: usize, bits: u32) -> u64 {
    let woken = take(&mut lock(key), key, count, bits);
    wake_all(&woken)
}

fn wake_all(woken: &[Arc<Waiter>]) -> u64 {
    woken.iter().for_each(|waiter| sched::wake(&waiter.thread));
    woken.len() as u64
}

/// Wakes up to `wake` who wait at `from` and lets up to `most_moved` others wait at `to` instead, if
/// the word at `from` is `expected`; how many that were together.
pub fn requeue(
    from: Key,
    to: Key,
    wake: u32,
    most_moved: u32,
    expected: Option<u32>,
) -> SyscallResult {
    check_requeue(wake, most_moved)?;
    let is_expected = || match expected {
        Some(expected) if load(from)? != expected => Err(Errno::EAGAIN),
        _ => Ok(()),
    };
    let numbers = (wake as usize, most_moved as usize);
    let (woken, moved) = futex_queue::requeue(&WAITERS, (from, to), numbers, is_expected)?;
    Ok(wake_all(&woken) + moved as u64)
}

/// Wakes one who waits at `address` of the current process, for others to see.
pub fn wake_one(address: u64) {
    match find(address, false) {
        Ok(Queue::Own(key)) => {
            wake(key, 1, ALL);
        }
        Ok(Queue::Linux) => {
            // Nobody is there to hear of an error.
            let _ = call_directly(number::futex, [address, u64::from(op::WAKE), 1, 0, 0, 0]);
        }
        Err(_) => {}
    }
}
