// SPDX-License-Identifier: GPL-2.0
//! Waiting at several words at once, until the first is woken.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cokernel_logic::syscall::futex::ALL;

use crate::errno::{Errno, SyscallResult};
use crate::futex::queue::{self, Key, Queue, Waiter};
use crate::futex::time;
use crate::task::current;
use crate::user_memory::{read_words, uint};

/// Words of a `struct futex_waitv`: value, address, flags and a reserved half.
pub const ENTRY_WORDS: u64 = 3;
/// Flag: 32 bits, the only size there is.
const SIZE_U32: u64 = 2;
/// Flag: the word is the process's own.
const PRIVATE: u64 = 128;

/// One word to wait at.
pub struct Word {
    key: Key,
    expected: u32,
}

/// The entry at `address`; `None` if its word is Linux's.
pub fn read(address: u64) -> Result<Option<Word>, Errno> {
    let [expected, word, flags] = read_words::<3>(address)?;
    // The reserved half must be 0, too.
    if flags & !PRIVATE != SIZE_U32 {
        return Err(Errno::EINVAL);
    }
    Ok(match queue::find(word, flags & PRIVATE != 0)? {
        Queue::Linux => None,
        Queue::Own(key) => Some(Word {
            key,
            expected: uint(expected),
        }),
    })
}

/// Waits at all `words` until `limit`; the index of the first that was woken.
pub fn wait(words: &[Word], limit: time::Limit) -> SyscallResult {
    let mut waiters: Vec<Arc<Waiter>> = Vec::with_capacity(words.len());
    let mut outcome = Ok(0);
    for word in words {
        let waiter = queue::waiter(word.key, ALL, false);
        outcome = queue::enter(word.key, &waiter, word.expected).map(|()| 0);
        if outcome.is_err() {
            break;
        }
        waiters.push(waiter);
    }
    if outcome.is_ok() {
        let is_woken = || waiters.iter().any(|waiter| waiter.is_woken());
        outcome = queue::sleep(current::process(), limit, is_woken);
    }
    let mut woken = None;
    for (index, waiter) in (0..).zip(&waiters) {
        if queue::withdraw(waiter) {
            woken.get_or_insert(index);
        }
    }
    woken.map_or(outcome, Ok)
}
