// SPDX-License-Identifier: GPL-2.0
//! Futexes with an owner, whose thread id is in the word. All threads run at one priority, so there
//! is none to inherit: what remains is that the owner hands the word to who waits first.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use cokernel_logic::futex_queue::{has_heir, heir, take_heir};
use cokernel_logic::pi_word::{self, Found, OWNER, OWNER_DIED};
use cokernel_logic::syscall::futex::ALL;

use crate::arch::uaccess;
use crate::errno::{Errno, SyscallResult};
use crate::futex::queue::{self, load, Key, Waiter, Waiters};
use crate::futex::time::Limit;
use crate::mm::mirror;
use crate::task::process::{self, Process};
use crate::task::thread::Thread;
use crate::task::{current, sched};

/// Threads of all processes that wait to own a word.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// FUTEX_LOCK_PI.
pub fn lock(key: Key, limit: Limit) -> SyscallResult {
    let waiter = queue::waiter(key, ALL, true);
    {
        let mut waiters = queue::lock(key);
        if take(key, &waiters, true)? {
            return Ok(0);
        }
        waiters.push(waiter.clone());
        WAITING.fetch_add(1, Ordering::SeqCst);
    }
    let outcome = queue::sleep(current::process(), limit, || waiter.is_woken());
    let owns = queue::withdraw(&waiter);
    WAITING.fetch_sub(1, Ordering::SeqCst);
    if owns {
        return Ok(0);
    }
    match outcome {
        Err(Errno::ETIMEDOUT) => Err(Errno::ETIMEDOUT),
        // The time limit is absolute, so beginning again is always right.
        _ => Err(Errno::ERESTARTNOINTR),
    }
}

/// FUTEX_TRYLOCK_PI.
pub fn try_lock(key: Key) -> SyscallResult {
    let waiters = queue::lock(key);
    if take(key, &waiters, false)? {
        Ok(0)
    } else {
        Err(Errno::EAGAIN)
    }
}

/// FUTEX_UNLOCK_PI.
pub fn unlock(key: Key) -> SyscallResult {
    let mut waiters = queue::lock(key);
    if load(key)? & OWNER != own_id() {
        return Err(Errno::EPERM);
    }
    let next = hand_over(key, &mut waiters, 0)?;
    drop(waiters);
    if let Some(next) = next {
        sched::wake(&next.thread);
    }
    Ok(0)
}

/// The owner of `key`, the current thread, ends without unlocking: who waits first gets it, and
/// learns that.
pub fn bequeath(key: Key) -> Result<(), Errno> {
    let next = hand_over(key, &mut queue::lock(key), OWNER_DIED)?;
    if let Some(next) = next {
        sched::wake(&next.thread);
    }
    Ok(())
}

/// `thread`, the current one, ends: every word it owns and somebody waits for goes to who waits
/// first, on its robust list or not.
pub fn release_all(process: &Process, thread: &Thread) {
    if WAITING.load(Ordering::SeqCst) == 0 {
        return;
    }
    let id = id_of(thread.data.tid);
    for key in queue::wanted(process) {
        if uaccess::load_u32(key.address).is_ok_and(|word| word & OWNER == id) {
            // Only a bad address fails, and then nobody waits there any more.
            let _ = bequeath(key);
        }
    }
}

/// Takes the word if nobody owns it. Otherwise, if the caller `will_wait`, says so in the word.
fn take(key: Key, waiters: &Waiters, will_wait: bool) -> Result<bool, Errno> {
    let others = has_heir(waiters, key);
    loop {
        let word = load(key)?;
        let (new, taken) = match pi_word::find(word, own_id(), others) {
            Found::Free(new) => (new, true),
            Found::Own => return Err(Errno::EDEADLK),
            Found::Owned { owner, .. } if !is_known(key, owner) => return Err(Errno::ESRCH),
            Found::Owned { .. } if !will_wait => return Ok(false),
            Found::Owned { marked, .. } => (marked, false),
        };
        if exchange(key, word, new)? {
            return Ok(taken);
        }
    }
}

/// Gives the word to who waits first, with `mark`, or to nobody.
fn hand_over(key: Key, waiters: &mut Waiters, mark: u32) -> Result<Option<Arc<Waiter>>, Errno> {
    let (next, more) = heir(waiters, key);
    let new_owner = next.as_ref().map(|next| id_of(next.thread.data.tid));
    let new = pi_word::handed_over(new_owner, more, mark);
    loop {
        if exchange(key, load(key)?, new)? {
            break;
        }
    }
    if let Some(next) = &next {
        take_heir(waiters, next);
    }
    Ok(next)
}

fn own_id() -> u32 {
    id_of(sched::current().data.tid)
}

fn id_of(tid: i32) -> u32 {
    tid.unsigned_abs() & OWNER
}

/// Whether `owner` is a thread that can have got the word at `key`.
fn is_known(key: Key, owner: u32) -> bool {
    let has_owner = |process: &Process| {
        let threads = process.threads();
        threads.iter().any(|thread| id_of(thread.data.tid) == owner)
    };
    has_owner(current::process()) || key.is_shared() && process::any(has_owner)
}

fn exchange(key: Key, old: u32, new: u32) -> Result<bool, Errno> {
    core::hint::spin_loop();
    mirror::without_waiting(|| uaccess::compare_exchange(key.address, old, new))
        .map(|result| result.is_ok())
        .map_err(|_| Errno::EFAULT)
}
