// SPDX-License-Identifier: GPL-2.0
//! The queues of the threads that wait at a word.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::syscall::futex::{check_requeue, op, ALL};
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::syscalls::number;

use crate::addr::to_usize;
use crate::arch::time::Deadline;
use crate::arch::{relax, uaccess};
use crate::delegate::call_directly;
use crate::errno::{Errno, SyscallResult};
use crate::futex::time::Limit;
use crate::mm::{fault, mirror};
use crate::sync::{SpinGuard, SpinLock};
use crate::task::process::Process;
use crate::task::thread::Thread;
use crate::task::{current, sched};
use crate::{ikc, kargs};

const BUCKETS: usize = 256;

/// The key of a word. Memory of the partition that processes share is known by its frame, all other by the
/// address space.
#[derive(Clone, Copy)]
pub struct Key {
    /// The process whose address `place` is; [`SHARED`]: it is a physical one.
    owner: ProcessHandle,
    place: u64,
    /// The address of the word in the process that made the key.
    pub address: u64,
}

/// No process has this handle.
const SHARED: ProcessHandle = 0;

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (self.owner, self.place) == (other.owner, other.place)
    }
}

/// The place of a word's queue.
pub enum Queue {
    /// Here.
    Own(Key),
    /// The word is in a mirrored area: Linux's own queue has everybody who waits there.
    Linux,
}

/// A thread that waits.
pub struct Waiter {
    /// Changed by requeueing, under the locks of both buckets. Nothing is locked under it.
    key: SpinLock<Key>,
    bits: u32,
    /// It waits to own the word, not for the word to change.
    owns: bool,
    /// Set under the lock of its bucket.
    woken: AtomicBool,
    pub thread: Arc<Thread>,
}

type Bucket = SpinLock<Vec<Arc<Waiter>>>;

/// The waiters of a bucket, locked.
pub type Waiters = SpinGuard<'static, Vec<Arc<Waiter>>>;

static WAITERS: [Bucket; BUCKETS] = [const { SpinLock::new(Vec::new()) }; BUCKETS];

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
                Some(Queue::Own(Key {
                    owner: SHARED,
                    place: mapping.pa.as_u64() + inside,
                    address,
                }))
            }
            // At an address without memory, only the process's own words may be asked for.
            None if !private => None,
            // Under the lock of its bucket nobody can wait for Linux.
            Some(area) if area.attributes.source != 0 && inner.table.lookup(address).is_none() => {
                None
            }
            _ => Some(Queue::Own(Key {
                owner: space.owner(),
                place: address,
                address,
            })),
        });
        if let Some(found) = found {
            return Ok(found);
        }
        fault::bring_in(process, address, false)?;
    }
}

impl Key {
    /// Whether several processes may wait here.
    pub fn is_shared(self) -> bool {
        self.owner == SHARED
    }

    fn index(self) -> usize {
        let mixed = self.place >> 2 ^ self.place >> 12 ^ u64::from(self.owner);
        to_usize(mixed % BUCKETS as u64)
    }

    /// Locks the bucket of this word.
    pub fn lock(self) -> Waiters {
        WAITERS[self.index()].lock()
    }
}

impl Waiter {
    /// Whether it is a thread of `process`.
    fn is_of(&self, process: &Process) -> bool {
        let own = self.thread.process.as_ref();
        own.is_some_and(|own| own.handle == process.handle)
    }

    /// The current thread, waiting at `key`.
    pub fn new(key: Key, bits: u32, owns: bool) -> Arc<Self> {
        Arc::new(Self {
            key: SpinLock::new(key),
            bits,
            owns,
            woken: AtomicBool::new(false),
            thread: sched::current_arc(),
        })
    }

    fn key(&self) -> Key {
        *self.key.lock()
    }

    /// Whether it waits at `key` for what `owns` says.
    pub fn is_at(&self, key: Key, owns: bool) -> bool {
        self.key() == key && self.owns == owns
    }

    /// Marks it as woken; under the lock of its bucket, from which it has been taken.
    pub fn mark(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Whether it was woken.
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Takes it out of its bucket, wherever that is by now. Whether it was woken before.
    pub fn withdraw(self: &Arc<Self>) -> bool {
        loop {
            let key = self.key();
            let mut waiters = key.lock();
            if self.key() == key {
                waiters.retain(|other| !Arc::ptr_eq(other, self));
                return self.is_woken();
            }
        }
    }

    /// Sleeps until woken, out of time, or wanted elsewhere.
    pub fn sleep(&self, process: &Process, limit: Limit) -> SyscallResult {
        sleep(process, limit, || self.is_woken())
    }
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
        if !sched::block_prepared(limit.deadline_ns()) {
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
    let mut waiters = key.lock();
    if load(key)? != expected {
        return Err(Errno::EAGAIN);
    }
    waiters.push(waiter.clone());
    Ok(())
}

/// Waits at `key` while the word is `expected`.
pub fn wait(key: Key, expected: u32, bits: u32, limit: Limit) -> SyscallResult {
    let waiter = Waiter::new(key, bits, false);
    enter(key, &waiter, expected)?;
    let outcome = waiter.sleep(current::process(), limit);
    if waiter.withdraw() {
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
    let mut keys = Vec::new();
    for bucket in &WAITERS {
        let waiters = bucket.lock();
        let owning = waiters
            .iter()
            .filter(|waiter| waiter.owns && waiter.is_of(process));
        for key in owning.map(|waiter| waiter.key()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

/// Wakes up to `count` who wait at `key` for one of `bits`; how many.
pub fn wake(key: Key, count: usize, bits: u32) -> u64 {
    let woken = {
        let mut waiters = key.lock();
        take(&mut waiters, key, count, bits)
    };
    wake_all(&woken)
}

/// Takes up to `count` waiters out and marks them as woken.
fn take(waiters: &mut Vec<Arc<Waiter>>, key: Key, count: usize, bits: u32) -> Vec<Arc<Waiter>> {
    let mut taken = Vec::new();
    waiters.retain(|waiter| {
        let chosen = taken.len() < count && waiter.is_at(key, false) && waiter.bits & bits != 0;
        if chosen {
            waiter.mark();
            taken.push(waiter.clone());
        }
        !chosen
    });
    taken
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
    let (mut source, mut target) = lock_both(from, to);
    if let Some(expected) = expected {
        if load(from)? != expected {
            return Err(Errno::EAGAIN);
        }
    }
    let woken = take(&mut source, from, wake as usize, ALL);
    let mut moved = Vec::new();
    source.retain(|waiter| {
        let chosen = moved.len() < most_moved as usize && waiter.is_at(from, false);
        if chosen {
            moved.push(waiter.clone());
        }
        !chosen
    });
    let count = moved.len() as u64;
    for waiter in moved {
        *waiter.key.lock() = to;
        target.as_mut().unwrap_or(&mut source).push(waiter);
    }
    drop((source, target));
    Ok(wake_all(&woken) + count)
}

/// Locks the buckets of both words, the one with the lower index first. Only one guard if they are
/// the same bucket.
fn lock_both(first: Key, second: Key) -> (Waiters, Option<Waiters>) {
    match first.index().cmp(&second.index()) {
        core::cmp::Ordering::Equal => (first.lock(), None),
        core::cmp::Ordering::Less => {
            let guard = first.lock();
            (guard, Some(second.lock()))
        }
        core::cmp::Ordering::Greater => {
            let guard = second.lock();
            (first.lock(), Some(guard))
        }
    }
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
