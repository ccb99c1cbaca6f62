// SPDX-License-Identifier: GPL-2.0
//! Futexes with an owner, whose thread id is in the word. Who waits lends its priority to the owner, who
//! hands the word to the one of the highest priority.
//!
//! Lock order: bucket, [`CHAIN`], a CPU's queue.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use cokernel_logic::futex_queue::{add, has_heir, heir, take_heir};
use cokernel_logic::pi_chain::{Chain, Deadlock};
use cokernel_logic::pi_word::{self, Found, OWNER, OWNER_DIED};
use cokernel_logic::syscall::futex::ALL;

use crate::arch::uaccess;
use crate::errno::{Errno, SyscallResult};
use crate::futex::queue::{self, load, Key, Waiter, Waiters};
use crate::futex::time::Limit;
use crate::mm::mirror;
use crate::sync::SpinLock;
use crate::task::process::{self, Process};
use crate::task::thread::Thread;
use crate::task::{current, sched};

/// Threads of all processes that wait to own a word.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Who lends its priority to whom.
static CHAIN: SpinLock<Chain<Arc<Thread>, Key>> = SpinLock::new(Chain::new());

/// Policy or priority of `thread` has changed: so does what it lends.
pub fn stands_anew(thread: &Arc<Thread>) {
    sched::stands_anew(thread);
    if WAITING.load(Ordering::SeqCst) != 0 {
        CHAIN.lock().stands_anew(thread, sched::stands_anew);
    }
}

/// FUTEX_LOCK_PI.
pub fn lock(key: Key, limit: Limit) -> SyscallResult {
    let waiter = queue::waiter(key, ALL, true);
    {
        let mut waiters = queue::lock(key);
        let Some(owner) = take(key, &waiters, true)? else {
            return Ok(0);
        };
        let added = CHAIN
            .lock()
            .add(waiter.thread.clone(), key, owner, sched::stands_anew);
        added.map_err(|Deadlock| Errno::EDEADLK)?;
        add(&mut waiters, waiter.clone());
        WAITING.fetch_add(1, Ordering::SeqCst);
    }
    let outcome = queue::sleep(current::process(), limit, || waiter.is_woken());
    let owns = queue::withdraw(&waiter);
    if !owns {
        CHAIN.lock().remove(&waiter.thread, sched::stands_anew);
    }
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
    match take(key, &waiters, false)? {
        None => Ok(0),
        Some(_) => Err(Errno::EAGAIN),
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

/// Takes the word if nobody owns it. Otherwise, if the caller `will_wait`, says so in the word; who owns it.
fn take(key: Key, waiters: &Waiters, will_wait: bool) -> Result<Option<Arc<Thread>>, Errno> {
    let others = has_heir(waiters, key);
    loop {
        let word = load(key)?;
        let (new, owner) = match pi_word::find(word, own_id(), others) {
            Found::Free(new) => (new, None),
            Found::Own => return Err(Errno::EDEADLK),
            Found::Owned { marked, owner } => {
                let owner = find_owner(key, owner).ok_or(Errno::ESRCH)?;
                if !will_wait {
                    return Ok(Some(owner));
                }
                (marked, Some(owner))
            }
        };
        if exchange(key, word, new)? {
            return Ok(owner);
        }
    }
}

/// Gives the word to who waits first, with `mark`, or to nobody.
fn hand_over(key: Key, waiters: &mut Waiters, mark: u32) -> Result<Option<Arc<Waiter>>, Errno> {
    let rank_of = |thread: &Arc<Thread>| thread.data.entity.standing().rank();
    let (next, more) = heir(waiters, key, rank_of);
    let new_owner = next.as_ref().map(|next| id_of(next.thread.data.tid));
    let new = pi_word::handed_over(new_owner, more, mark);
    loop {
        if exchange(key, load(key)?, new)? {
            break;
        }
    }
    if let Some(next) = &next {
        take_heir(waiters, next);
        let owner = sched::current_arc();
        let mut chain = CHAIN.lock();
        chain.hand_over(&key, &owner, &next.thread, sched::stands_anew);
    }
    Ok(next)
}

fn own_id() -> u32 {
    id_of(sched::current().data.tid)
}

fn id_of(tid: i32) -> u32 {
    tid.unsigned_abs() & OWNER
}

/// The thread with id `owner`, if it can have got the word at `key`.
fn find_owner(key: Key, owner: u32) -> Option<Arc<Thread>> {
    let mut own = current::process().threads().into_iter();
    own.find(|thread| id_of(thread.data.tid) == owner)
        .or_else(|| {
            let tid = i32::try_from(owner).ok().filter(|_| key.is_shared())?;
            process::find_thread(tid)
        })
}

fn exchange(key: Key, old: u32, new: u32) -> Result<bool, Errno> {
    core::hint::spin_loop();
    mirror::without_waiting(|| uaccess::compare_exchange(key.address, old, new))
        .map(|result| result.is_ok())
        .map_err(|_| Errno::EFAULT)
}
