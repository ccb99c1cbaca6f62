// SPDX-License-Identifier: GPL-2.0
//! futex: waiting on words of the partition, which Linux knows nothing of.
//!
//! Lock order: a bucket, then the address space (reading the word may need a page).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ihk_ikc::packet::ProcessHandle;

use super::errno::{Errno, SyscallResult};
use super::user::{read_words, uint};
use crate::arch::{time, uaccess, UserFrame};
use crate::sync::SpinLock;
use crate::task::process::{self, Process};
use crate::task::sched;
use crate::task::thread::Thread;

const OP_MASK: u32 = 0x7f;
const WAIT: u32 = 0;
const WAKE: u32 = 1;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
/// Flag: absolute times are CLOCK_REALTIME's.
const CLOCK_REALTIME: u32 = 256;
const ALL: u32 = u32::MAX;
const BUCKETS: usize = 64;
const NS_PER_S: u64 = 1_000_000_000;
/// Number of clock_gettime(2).
const SYS_CLOCK_GETTIME: u64 = 228;
/// Below the red zone of the function that made the call, room for a `struct timespec`.
const SCRATCH_BELOW_STACK: u64 = 128 + 16;

/// Which word: processes share no memory yet, so the address says it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    process: ProcessHandle,
    address: u64,
}

struct Waiter {
    key: Key,
    bits: u32,
    woken: AtomicBool,
    thread: Arc<Thread>,
}

static WAITERS: [SpinLock<Vec<Arc<Waiter>>>; BUCKETS] =
    [const { SpinLock::new(Vec::new()) }; BUCKETS];

impl Key {
    fn bucket(self) -> &'static SpinLock<Vec<Arc<Waiter>>> {
        let mixed =
            (self.address >> 2 ^ self.address >> 12 ^ u64::from(self.process)) % BUCKETS as u64;
        &WAITERS[mixed as usize]
    }
}

/// futex(2).
pub fn futex(frame: &mut UserFrame) -> SyscallResult {
    let [address, op, value, timeout, _, bits] = frame.args();
    let op = uint(op);
    if address % 4 != 0 {
        return Err(Errno::EINVAL);
    }
    let key = Key {
        process: process::current().handle,
        address,
    };
    let bits = if matches!(op & OP_MASK, WAIT_BITSET | WAKE_BITSET) {
        uint(bits)
    } else {
        ALL
    };
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    match op & OP_MASK {
        WAIT | WAIT_BITSET => wait(key, uint(value), bits, deadline(frame, op, timeout)?),
        WAKE | WAKE_BITSET => Ok(wake(key, uint(value) as usize, bits)),
        _ => Err(Errno::ENOSYS),
    }
}

/// Wakes everybody who waits at `address` of the current process.
pub fn wake_all(address: u64) {
    wake(
        Key {
            process: process::current().handle,
            address,
        },
        usize::MAX,
        ALL,
    );
}

fn wake(key: Key, count: usize, bits: u32) -> u64 {
    let mut woken = Vec::new();
    {
        let mut waiters = key.bucket().lock();
        waiters.retain(|waiter| {
            let chosen = woken.len() < count && waiter.key == key && waiter.bits & bits != 0;
            if chosen {
                woken.push(waiter.clone());
            }
            !chosen
        });
    }
    for waiter in &woken {
        waiter.woken.store(true, Ordering::Release);
        sched::wake(&waiter.thread);
    }
    woken.len() as u64
}

fn wait(key: Key, expected: u32, bits: u32, deadline_ns: Option<u64>) -> SyscallResult {
    let thread = sched::current_arc();
    let waiter = Arc::new(Waiter {
        key,
        bits,
        woken: AtomicBool::new(false),
        thread,
    });
    {
        let mut waiters = key.bucket().lock();
        if uaccess::load_u32(key.address).map_err(|_| Errno::EFAULT)? != expected {
            return Err(Errno::EAGAIN);
        }
        waiters.push(waiter.clone());
    }
    let outcome = sleep(&waiter, process::current(), deadline_ns);
    key.bucket()
        .lock()
        .retain(|other| !Arc::ptr_eq(other, &waiter));
    if waiter.woken.load(Ordering::Acquire) {
        Ok(0)
    } else {
        outcome
    }
}

/// Sleeps until woken, out of time, or wanted elsewhere.
fn sleep(waiter: &Waiter, process: &Process, deadline_ns: Option<u64>) -> SyscallResult {
    loop {
        sched::prepare_to_block();
        if waiter.woken.load(Ordering::Acquire) {
            sched::cancel_block();
            return Ok(0);
        }
        if process.is_dying()
            || process.is_frozen()
            || waiter.thread.data.signals.has_deliverable(process)
        {
            sched::cancel_block();
            // A time limit that began before the signal must not begin again.
            return Err(if deadline_ns.is_some() {
                Errno::EINTR
            } else {
                Errno::ERESTARTSYS
            });
        }
        if !sched::block_prepared(deadline_ns) {
            return Err(Errno::ETIMEDOUT);
        }
    }
}

/// When to give up, on CLOCK_MONOTONIC.
fn deadline(frame: &UserFrame, op: u32, timeout: u64) -> Result<Option<u64>, Errno> {
    if timeout == 0 || !matches!(op & OP_MASK, WAIT | WAIT_BITSET) {
        return Ok(None);
    }
    let given = nanoseconds(read_words(timeout)?)?;
    if op & OP_MASK == WAIT {
        return Ok(Some(time::now_ns().saturating_add(given)));
    }
    if op & CLOCK_REALTIME == 0 {
        return Ok(Some(given));
    }
    let remaining = given.saturating_sub(realtime(frame)?);
    Ok(Some(time::now_ns().saturating_add(remaining)))
}

fn nanoseconds([seconds, nanoseconds]: [u64; 2]) -> Result<u64, Errno> {
    if nanoseconds >= NS_PER_S || seconds > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds))
}

/// Linux's CLOCK_REALTIME, by way of unused stack of the caller.
fn realtime(frame: &UserFrame) -> Result<u64, Errno> {
    let scratch = frame.rsp.wrapping_sub(SCRATCH_BELOW_STACK) & !15;
    super::forward(SYS_CLOCK_GETTIME, [0, scratch, 0, 0, 0, 0])?;
    nanoseconds(read_words(scratch)?)
}
