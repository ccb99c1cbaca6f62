// SPDX-License-Identifier: GPL-2.0
//! The threads that wait at words: queues in buckets, each under a lock of its own.
//!
//! ```text
//!          enter                   wake, take_heir             withdraw
//!  (new) ────────► in a bucket ─────────────────────► woken ────────────► (gone)
//!                  │    ▲    │
//!                  └────┘    └───────────────────────────────────────────► (gone)
//!                  requeue                  withdraw
//! ```
//! **Waiting against waking** (loom: `tests/loom_futex.rs`). The word is compared and the waiter queued under
//! the bucket's lock, and whoever changes the word wakes under it: so a waiter that still saw the old value
//! is found.
//!
//! **Giving up against requeueing** (the same model). A waiter that withdraws may meanwhile be moved to
//! another bucket: it locks the bucket of its key, and looks again whether that is still its key, which only
//! changes under the locks of both buckets. Whether it was woken, it learns under the lock: so each waiter
//! that a wake counts says that it was woken.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering::{Equal, Greater, Less};
use core::ops::DerefMut;

use ihk_ikc::packet::ProcessHandle;

use crate::atomic::{AtomicBool, Ordering};
use crate::lock::Lock;
use crate::sched_entity::Rank;
use crate::syscall::futex::ALL;

/// The key of a word. Memory of the partition that processes share is known by its frame, all other by the
/// address space.
#[derive(Clone, Copy, Debug)]
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
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (self.owner, self.place) == (other.owner, other.place)
    }
}

impl Key {
    /// The word at `address` of the address space of process `owner`.
    #[must_use]
    pub const fn own(owner: ProcessHandle, address: u64) -> Self {
        Self {
            owner,
            place: address,
            address,
        }
    }

    /// The word at the physical address `place`, which the process that asks has at `address`.
    #[must_use]
    pub const fn shared(place: u64, address: u64) -> Self {
        Self {
            owner: SHARED,
            place,
            address,
        }
    }

    /// Whether several processes may wait here.
    #[must_use]
    pub const fn is_shared(self) -> bool {
        self.owner == SHARED
    }

    /// The bucket of the word, of as many as there are.
    #[inline]
    fn index(self, buckets: usize) -> usize {
        let mixed = self.place >> 2 ^ self.place >> 12 ^ u64::from(self.owner);
        usize::try_from(mixed).unwrap_or(0) % buckets
    }
}

/// A waiter, which is `T`; `K` locks its key.
pub struct Waiter<T, K> {
    /// Changed by requeueing, under the locks of both buckets. Nothing is locked under it.
    key: K,
    bits: u32,
    /// It waits to own the word, not for the word to change.
    owns: bool,
    /// By which it is woken before others; that of its beginning.
    rank: Rank,
    /// Set under the lock of its bucket.
    woken: AtomicBool,
    /// The thread that waits.
    pub thread: T,
}

/// The waiters of a bucket, by rank and then in the order of their coming.
pub type List<T, K> = Vec<Arc<Waiter<T, K>>>;

impl<T, K: Lock<Key>> Waiter<T, K> {
    /// `thread`, waiting by `rank` at `key` for one of `bits`, or to own the word.
    pub fn new(key: Key, bits: u32, owns: bool, rank: Rank, thread: T) -> Arc<Self> {
        Arc::new(Self {
            key: K::new(key),
            bits,
            owns,
            rank,
            woken: AtomicBool::new(false),
            thread,
        })
    }

    /// The word that it waits at by now.
    pub fn key(&self) -> Key {
        *self.key.lock()
    }

    /// Whether it waits at `key` for what `owns` says.
    fn is_at(&self, key: Key, owns: bool) -> bool {
        self.key() == key && self.owns == owns
    }

    /// Whether it was woken.
    #[inline]
    pub fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Takes it out of its bucket, wherever that is by now. Whether it was woken before.
    pub fn withdraw<B: Lock<List<T, K>>>(self: &Arc<Self>, buckets: &[B]) -> bool {
        loop {
            let key = self.key();
            let mut waiters = lock(buckets, key);
            if self.key() == key {
                waiters.retain(|other| !Arc::ptr_eq(other, self));
                return self.is_woken();
            }
        }
    }
}

/// Locks the bucket of the word at `key`.
#[inline]
pub fn lock<'a, T: 'a, K: 'a, B: Lock<List<T, K>>>(
    buckets: &'a [B],
    key: Key,
) -> impl DerefMut<Target = List<T, K>> + 'a {
    buckets[key.index(buckets.len())].lock()
}

/// `waiter` waits in its bucket from now on, behind those of its rank: a priority list, as Linux's futexes have.
#[inline]
pub fn add<T, K>(waiters: &mut List<T, K>, waiter: Arc<Waiter<T, K>>) {
    let index = waiters.partition_point(|other| other.rank <= waiter.rank);
    waiters.insert(index, waiter);
}

/// Takes up to `count` who wait at `key` for one of `bits` out of their bucket, marked as woken.
pub fn take<T, K: Lock<Key>>(
    waiters: &mut List<T, K>,
    key: Key,
    count: usize,
    bits: u32,
) -> List<T, K> {
    let mut taken = Vec::new();
    waiters.retain(|waiter| {
        let chosen = taken.len() < count && waiter.is_at(key, false) && waiter.bits & bits != 0;
        if chosen {
            waiter.woken.store(true, Ordering::Release);
            taken.push(waiter.clone());
        }
        !chosen
    });
    taken
}

/// Takes up to `wake` who wait at `from` out, marked as woken, and lets up to `most_moved` others wait at `to`
/// instead, if that `is_allowed` under the locks; also how many were moved.
///
/// # Errors
///
/// Those of `is_allowed`.
pub fn requeue<T, K: Lock<Key>, B: Lock<List<T, K>>, E>(
    buckets: &[B],
    (from, to): (Key, Key),
    (wake, most_moved): (usize, usize),
    is_allowed: impl FnOnce() -> Result<(), E>,
) -> Result<(List<T, K>, usize), E> {
    let (mut source, mut target) = lock_both(buckets, from, to);
    is_allowed()?;
    let woken = take(&mut source, from, wake, ALL);
    let mut moved = Vec::new();
    source.retain(|waiter| {
        let chosen = moved.len() < most_moved && waiter.is_at(from, false);
        if chosen {
            moved.push(waiter.clone());
        }
        !chosen
    });
    let count = moved.len();
    for waiter in moved {
        *waiter.key.lock() = to;
        match &mut target {
            Some(target) => add(target, waiter),
            None => add(&mut source, waiter),
        }
    }
    Ok((woken, count))
}

/// Locks the buckets of both words, the one with the lower index first. Only one guard if they are
/// the same bucket.
fn lock_both<'a, T: 'a, K: 'a, B: Lock<List<T, K>>>(
    buckets: &'a [B],
    first: Key,
    second: Key,
) -> (
    impl DerefMut<Target = List<T, K>> + 'a,
    Option<impl DerefMut<Target = List<T, K>> + 'a>,
) {
    let count = buckets.len();
    match first.index(count).cmp(&second.index(count)) {
        Equal => (lock(buckets, first), None),
        Less => {
            let guard = lock(buckets, first);
            (guard, Some(lock(buckets, second)))
        }
        Greater => {
            let guard = lock(buckets, second);
            (lock(buckets, first), Some(guard))
        }
    }
}

/// Whether somebody waits to own the word at `key`.
pub fn has_heir<T, K: Lock<Key>>(waiters: &List<T, K>, key: Key) -> bool {
    waiters.iter().any(|waiter| waiter.is_at(key, true))
}

/// Who gets the word at `key`: the first of the lowest rank, as `rank_of` says it is now, of those who wait to
/// own it; and whether more do.
pub fn heir<T, K: Lock<Key>>(
    waiters: &List<T, K>,
    key: Key,
    rank_of: impl Fn(&T) -> Rank,
) -> (Option<Arc<Waiter<T, K>>>, bool) {
    let heirs = || waiters.iter().filter(|waiter| waiter.is_at(key, true));
    let first = heirs().min_by_key(|waiter| rank_of(&waiter.thread));
    (first.cloned(), heirs().nth(1).is_some())
}

/// `heir` owns its word from now on: it is taken out of its bucket, marked as woken.
pub fn take_heir<T, K>(waiters: &mut List<T, K>, heir: &Arc<Waiter<T, K>>) {
    waiters.retain(|waiter| !Arc::ptr_eq(waiter, heir));
    heir.woken.store(true, Ordering::Release);
}

/// The words that a waiter for which `is_meant` holds waits to own.
pub fn wanted<T, K: Lock<Key>, B: Lock<List<T, K>>>(
    buckets: &[B],
    is_meant: impl Fn(&T) -> bool,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for bucket in buckets {
        let waiters = bucket.lock();
        let owning = waiters
            .iter()
            .filter(|waiter| waiter.owns && is_meant(&waiter.thread));
        for key in owning.map(|waiter| waiter.key()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys
}

#[cfg(all(test, not(loom)))]
mod tests;
