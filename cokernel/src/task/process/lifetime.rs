// SPDX-License-Identifier: GPL-2.0
//! The life of a process: which threads it has, and how far it is on its way to the end.
//!
//! ```text
//!  ALIVE ──begin_dying: compare-exchange, once──► DYING ──abandon: swap, `members` locked──► ABANDONED
//! ```
//!
//! * ALIVE: threads may begin. A process begins here.
//! * DYING: no thread begins any more, and those there are end on their way to user mode. Any thread or
//!   order of Linux may begin it; who does so first says how the process ends.
//! * ABANDONED: Linux has no mapping of the memory any more. Whoever finds the process without threads then,
//!   the last thread or the order itself, frees what it owns. Both look with `members` locked, so it is
//!   one of them.
//!
//! Being frozen is beside that: only orders of Linux change it, and a process that dies is frozen no
//! longer, whatever the word says.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use crate::errno::Errno;
use crate::ikc;
use crate::sync::SpinLock;
use crate::task::thread::Thread;

const ALIVE: u8 = 0;
const DYING: u8 = 1;
const ABANDONED: u8 = 2;

/// The threads of a process, and how far it is on its way to the end.
pub struct Lifetime {
    members: SpinLock<Members>,
    /// Threads that have not called exit. Writers: who enters a thread, and that thread.
    staying: AtomicUsize,
    /// [`ALIVE`], [`DYING`] or [`ABANDONED`]; the only ways between them are the two drawn above.
    stage: AtomicU8,
    /// Its threads stay off their CPUs. Writer: the CPU that takes orders of Linux.
    frozen: AtomicBool,
}

struct Members {
    /// The threads that have begun and not ended.
    threads: Vec<Arc<Thread>>,
    /// CPU time of those that have ended, ticks.
    ended_ticks: u64,
}

impl Lifetime {
    /// Returns the lifetime of a process that has no thread yet.
    pub const fn new() -> Self {
        Self {
            members: SpinLock::new(Members {
                threads: Vec::new(),
                ended_ticks: 0,
            }),
            staying: AtomicUsize::new(0),
            stage: AtomicU8::new(ALIVE),
            frozen: AtomicBool::new(false),
        }
    }

    /// Takes in the main thread, which `make` makes; it does not run yet.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there was one before or the process is being killed, else that of `make`.
    pub fn enter_first(
        &self,
        make: impl FnOnce() -> Result<Arc<Thread>, Errno>,
    ) -> Result<Arc<Thread>, Errno> {
        let mut members = self.members.lock();
        if !members.threads.is_empty() || self.is_dying() {
            return Err(Errno::EINVAL);
        }
        let thread = make()?;
        self.enter_locked(&mut members, &thread);
        Ok(thread)
    }

    /// Takes in a further thread; it does not run yet.
    ///
    /// # Errors
    ///
    /// `EINTR`: the process is being killed.
    pub fn enter(&self, thread: &Arc<Thread>) -> Result<(), Errno> {
        let mut members = self.members.lock();
        if self.is_dying() {
            return Err(Errno::EINTR);
        }
        self.enter_locked(&mut members, thread);
        Ok(())
    }

    fn enter_locked(&self, members: &mut Members, thread: &Arc<Thread>) {
        members.threads.push(thread.clone());
        self.staying.fetch_add(1, Ordering::AcqRel);
        let usage = &ikc::control().usage;
        usage.threads.fetch_add(1, Ordering::Relaxed);
        usage.slots.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the current thread has called exit. Returns whether no other thread stays: the
    /// process ends with it.
    pub fn leave(&self) -> bool {
        self.staying.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Takes out `thread`, the current one, which ends. Returns whether the caller is to free what the process
    /// owns.
    pub fn remove(&self, thread: &Arc<Thread>) -> bool {
        let mut members = self.members.lock();
        members.threads.retain(|other| !Arc::ptr_eq(other, thread));
        members.ended_ticks += thread.data.clock.ticks();
        let usage = &ikc::control().usage;
        usage.threads.fetch_sub(1, Ordering::Relaxed);
        usage.slots.fetch_sub(1, Ordering::Relaxed);
        members.threads.is_empty() && self.stage.load(Ordering::SeqCst) == ABANDONED
    }

    /// Notes that Linux has no mapping of the memory any more. Returns whether the caller is to free what
    /// the process owns.
    pub fn abandon(&self) -> bool {
        let members = self.members.lock();
        let is_first = self.stage.swap(ABANDONED, Ordering::SeqCst) != ABANDONED;
        is_first && members.threads.is_empty()
    }

    /// Notes that the threads are to end from now on. Returns whether that is news. They have to be told,
    /// too.
    pub fn begin_dying(&self) -> bool {
        self.stage
            .compare_exchange(ALIVE, DYING, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Returns whether the threads are to end.
    #[inline]
    pub fn is_dying(&self) -> bool {
        self.stage.load(Ordering::Acquire) != ALIVE
    }

    /// Notes that the threads are to stay off their CPUs from now on, or no longer. They have to be told,
    /// too.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Returns whether the threads are to stay off their CPUs.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// Returns the threads of this moment.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.members.lock().threads.clone()
    }

    /// Returns the thread with delegation slot `slot`.
    pub fn thread_of_slot(&self, slot: u32) -> Option<Arc<Thread>> {
        let members = self.members.lock();
        let mut threads = members.threads.iter();
        threads.find(|thread| thread.slot == slot).cloned()
    }

    /// Returns the CPU time of all threads there are or were, ticks.
    pub fn ticks(&self) -> u64 {
        let members = self.members.lock();
        let threads = members.threads.iter();
        let running: u64 = threads.map(|thread| thread.data.clock.ticks()).sum();
        running + members.ended_ticks
    }
}
