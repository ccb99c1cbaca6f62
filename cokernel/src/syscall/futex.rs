// SPDX-License-Identifier: GPL-2.0
//! futex: waiting on words of the partition, which Linux knows nothing of. Where a word is in a mirrored
//! area, Linux's own queue is everybody's: the worker waits, or wakes, there.
//!
//! [`queue`] keeps who waits, [`several`] lets a thread wait at many words, [`pi`] the futexes that have an owner, [`robust`] what a thread leaves
//! behind, [`time`] the limits.
//!
//! Lock order: buckets by their index, then the address space (reading the word may need a page).

pub mod pi;
mod queue;
pub mod robust;
pub mod several;
mod time;
mod wake_op;

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::syscall::forward;
use crate::syscall::futex::queue::Key;
use crate::task::sched;
use crate::user_memory::uint;

/// Operations of Linux.
mod op {
    pub(super) const WAIT: u32 = 0;
    pub(super) const WAKE: u32 = 1;
    pub(super) const REQUEUE: u32 = 3;
    pub(super) const CMP_REQUEUE: u32 = 4;
    pub(super) const WAKE_OP: u32 = 5;
    pub(super) const LOCK_PI: u32 = 6;
    pub(super) const UNLOCK_PI: u32 = 7;
    pub(super) const TRYLOCK_PI: u32 = 8;
    pub(super) const WAIT_BITSET: u32 = 9;
    pub(super) const WAKE_BITSET: u32 = 10;
    pub(super) const LOCK_PI2: u32 = 13;
}

/// Number of futex(2).
const SYS_FUTEX: u64 = 202;
const OP_MASK: u32 = 0x7f;
/// Flag: the word is the process's own.
const PRIVATE: u32 = 128;
/// Flag: absolute times are CLOCK_REALTIME's.
const CLOCK_REALTIME: u32 = 256;
/// Wakes, and is woken, whatever the other side's bits are.
const ALL: u32 = u32::MAX;

/// futex(2).
pub fn futex(frame: &mut UserFrame) -> SyscallResult {
    let [address, op, value, timeout, second, value3] = frame.args();
    let (op, value, value3) = (uint(op), uint(value), uint(value3));
    let realtime = op & CLOCK_REALTIME != 0;
    let command = op & !(PRIVATE | CLOCK_REALTIME);
    if command & !OP_MASK != 0 || realtime && !matches!(command, op::WAIT_BITSET | op::LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    let private = op & PRIVATE != 0;
    let uses_second = matches!(command, op::REQUEUE | op::CMP_REQUEUE | op::WAKE_OP);
    let queue::Queue::Own(key) = queue::find(address, private)? else {
        robust::tell_linux(sched::current());
        return forward(SYS_FUTEX, frame.args());
    };
    let second = if uses_second {
        own(second, private)?
    } else {
        key
    };
    match command {
        op::WAIT => queue::wait(key, value, ALL, time::relative(timeout)?),
        op::WAIT_BITSET => queue::wait(
            key,
            value,
            bits(value3)?,
            time::absolute(frame, timeout, realtime)?,
        ),
        op::WAKE => Ok(queue::wake(key, value as usize, ALL)),
        op::WAKE_BITSET => Ok(queue::wake(key, value as usize, bits(value3)?)),
        // The place of the time limit holds a number here.
        op::REQUEUE => queue::requeue(key, second, value, uint(timeout), None),
        op::CMP_REQUEUE => queue::requeue(key, second, value, uint(timeout), Some(value3)),
        op::WAKE_OP => {
            let also = wake_op::apply(second.address, value3)?;
            let woken = queue::wake(key, value as usize, ALL);
            let more = if also {
                queue::wake(second, uint(timeout) as usize, ALL)
            } else {
                0
            };
            Ok(woken + more)
        }
        op::LOCK_PI => pi::lock(key, time::absolute(frame, timeout, true)?),
        op::LOCK_PI2 => pi::lock(key, time::absolute(frame, timeout, realtime)?),
        op::TRYLOCK_PI => pi::try_lock(key),
        op::UNLOCK_PI => pi::unlock(key),
        _ => Err(Errno::ENOSYS),
    }
}

fn bits(value: u32) -> Result<u32, Errno> {
    if value == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(value)
}

/// A word that must be here, because the one it goes with is.
fn own(address: u64, private: bool) -> Result<Key, Errno> {
    match queue::find(address, private)? {
        queue::Queue::Own(key) => Ok(key),
        queue::Queue::Linux => Err(Errno::EINVAL),
    }
}

/// Wakes one who waits at `address` of the current process, for others to see.
pub fn wake_one(address: u64) {
    match queue::find(address, false) {
        Ok(queue::Queue::Own(key)) => {
            queue::wake(key, 1, ALL);
        }
        Ok(queue::Queue::Linux) => {
            // Nobody is there to hear of an error.
            let _ = forward(SYS_FUTEX, [address, u64::from(op::WAKE), 1, 0, 0, 0]);
        }
        Err(_) => {}
    }
}
