// SPDX-License-Identifier: GPL-2.0
//! futex_waitv: waiting at several words at once, until the first is woken.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::syscall::forward;
use crate::syscall::futex::queue::{self, Key, Queue, Waiter};
use crate::syscall::futex::{time, ALL};
use crate::task::process;
use crate::user_memory::{read_words, uint};

/// Number of futex_waitv(2).
const SYS_FUTEX_WAITV: u64 = 449;
/// Most words of one call.
const MOST_WORDS: u32 = 128;
/// Words of a `struct futex_waitv`: value, address, flags and a reserved half.
const ENTRY_WORDS: u64 = 3;
/// Flag: 32 bits, the only size there is.
const SIZE_U32: u64 = 2;
/// Flag: the word is the process's own.
const PRIVATE: u64 = 128;
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;

/// One word to wait at.
struct Word {
    key: Key,
    expected: u32,
}

/// futex_waitv(2). Words of mirrored areas and others cannot be mixed: they have no queue in common.
pub fn waitv(frame: &mut UserFrame) -> SyscallResult {
    let [entries, count, flags, timeout, clock, _] = frame.args();
    let (count, clock) = (uint(count), uint(clock));
    let bad_clock = timeout != 0 && !matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC);
    if uint(flags) != 0 || count == 0 || count > MOST_WORDS || entries == 0 || bad_clock {
        return Err(Errno::EINVAL);
    }
    let limit = time::absolute(frame, timeout, clock == CLOCK_REALTIME)?;
    let mut words = Vec::with_capacity(count as usize);
    for index in 0..u64::from(count) {
        if let Some(word) = read(entries + index * ENTRY_WORDS * 8)? {
            words.push(word);
        }
    }
    match words.len() {
        0 => forward(SYS_FUTEX_WAITV, frame.args()),
        found if found == count as usize => wait(&words, limit),
        _ => Err(Errno::EINVAL),
    }
}

/// The entry at `address`; `None` if its word is Linux's.
fn read(address: u64) -> Result<Option<Word>, Errno> {
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

fn wait(words: &[Word], limit: time::Limit) -> SyscallResult {
    let mut waiters: Vec<Arc<Waiter>> = Vec::with_capacity(words.len());
    let mut outcome = Ok(0);
    for word in words {
        let waiter = Waiter::new(word.key, ALL, false);
        outcome = queue::enter(word.key, &waiter, word.expected).map(|()| 0);
        if outcome.is_err() {
            break;
        }
        waiters.push(waiter);
    }
    if outcome.is_ok() {
        let is_woken = || waiters.iter().any(|waiter| waiter.is_woken());
        outcome = queue::sleep(process::current(), limit, is_woken);
    }
    let mut woken = None;
    for (index, waiter) in (0..).zip(&waiters) {
        if waiter.withdraw() {
            woken.get_or_insert(index);
        }
    }
    woken.map_or(outcome, Ok)
}
