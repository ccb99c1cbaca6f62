// SPDX-License-Identifier: GPL-2.0
//! futex(2) and futex_waitv(2): what is to be done with which words; the rest is in [`crate::futex`].

use alloc::vec::Vec;

use cokernel_logic::syscall::futex::{bits, check_waitv, op, Operation, ALL};
use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate::call_directly;
use crate::errno::{Errno, SyscallResult};
use crate::futex::queue::{self, Key};
use crate::futex::{pi, robust, several, time, wake_op};
use crate::task::sched;
use crate::user_memory::uint;

/// futex(2).
pub fn futex(frame: &mut UserFrame) -> SyscallResult {
    let [address, op, value, timeout, second, value3] = frame.args();
    let (value, value3) = (uint(value), uint(value3));
    let operation = Operation::of(uint(op))?;
    let Operation {
        command,
        private,
        realtime,
    } = operation;
    let queue::Queue::Own(key) = queue::find(address, private)? else {
        robust::tell_linux(sched::current());
        return call_directly(number::futex, frame.args());
    };
    let second = if operation.uses_second() {
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
            time::absolute(timeout, realtime)?,
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
        op::LOCK_PI => pi::lock(key, time::absolute(timeout, true)?),
        op::LOCK_PI2 => pi::lock(key, time::absolute(timeout, realtime)?),
        op::TRYLOCK_PI => pi::try_lock(key),
        op::UNLOCK_PI => pi::unlock(key),
        _ => Err(Errno::ENOSYS),
    }
}

/// A word that must be here, because the one it goes with is.
fn own(address: u64, private: bool) -> Result<Key, Errno> {
    match queue::find(address, private)? {
        queue::Queue::Own(key) => Ok(key),
        queue::Queue::Linux => Err(Errno::EINVAL),
    }
}

/// futex_waitv(2). Words of mirrored areas and others cannot be mixed: they have no queue in common.
pub fn waitv(frame: &mut UserFrame) -> SyscallResult {
    let [entries, count, flags, timeout, clock, _] = frame.args();
    let count = uint(count);
    let realtime = check_waitv(entries, count, uint(flags), timeout, uint(clock))?;
    let limit = time::absolute(timeout, realtime)?;
    let mut words = Vec::with_capacity(count as usize);
    for index in 0..u64::from(count) {
        if let Some(word) = several::read(entries + index * several::ENTRY_WORDS * 8)? {
            words.push(word);
        }
    }
    match words.len() {
        0 => call_directly(number::futex_waitv, frame.args()),
        found if found == count as usize => several::wait(&words, limit),
        _ => Err(Errno::EINVAL),
    }
}
