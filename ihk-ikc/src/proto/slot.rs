// SPDX-License-Identifier: GPL-2.0
//! The delegation slot, one per app thread, in a page that the co-kernel and mcexec share. It is hop 4 of
//! a delegated call, whose hot path is two transfers of the slot's first cache line, and no kernel entry.
//!
//! One state word, changed by swap and compare-and-swap only. Low byte = phase, then flags:
//!
//! ```text
//!            app thread (co-kernel)                     worker (mcexec)
//!  FREE/DONE ──post: swap(POSTED)──────────► POSTED     polls for POSTED
//!               old had ASLEEP → doorbell               idle too long: CAS(x → x|ASLEEP), WAIT ioctl
//!  POSTED    polls for DONE
//!            waits too long: CAS(POSTED → POSTED|WAITER), gives the CPU away
//!                                                       performs the call, stores the result
//!  DONE      ◄──────────────────────────── finish: swap(DONE), old had WAITER → RING ioctl
//! ```
//! Each doorbell decision and the change it depends on are one atomic operation on one word, so no
//! wake-up is lost (loom: `tests/loom_slot.rs`). `CANCEL` is for interrupted calls:
//! the co-kernel sets CANCEL while POSTED; a worker that saw it answers as if it was interrupted.
//!
//! Neither side trusts the other: mcexec may be hostile (a delegated call can write its memory).
//! Every word is read once; a state that cannot be is [`SlotError::BadState`].

use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::errno::{self, SyscallResult};

/// Nothing was asked yet.
pub const FREE: u32 = 0;
/// A request waits for the worker, or is being performed.
pub const POSTED: u32 = 1;
/// The answer is there.
pub const DONE: u32 = 3;
/// Mask of the phase.
pub const PHASE: u32 = 0xff;
/// Flag beside POSTED: the app thread gave its CPU away and must be rung.
pub const WAITER: u32 = 0x100;
/// Flag beside POSTED: the app thread wants the call interrupted.
pub const CANCEL: u32 = 0x200;
/// Flag beside FREE and DONE: the worker sleeps in mcctrl and must be rung.
pub const ASLEEP: u32 = 0x400;

/// A slot's state word said something impossible; the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// Unknown phase or flag, or a phase that cannot be here.
    BadState(u32),
}

/// A request as the app thread states it: a system call number of Linux, or one of
/// [`super::process::op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// System call number.
    pub number: u64,
    /// Its six arguments.
    pub args: [u64; 6],
}

/// The duty of the poster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// The other side sleeps: ring.
    Ring,
    /// The other side polls.
    NotNeeded,
}

/// The number of slots in a page.
pub const SLOTS_PER_PAGE: usize = 32;
/// Most pages of slots of a process; all but the first come when threads need them.
pub const SLOT_PAGES: usize = 32;
/// Most threads of a process.
pub const MAX_SLOTS: usize = SLOT_PAGES * SLOTS_PER_PAGE;
/// The slots of the first page have a bounce page each ([`super::process::op::BOUNCE`]), as soon as
/// they need one: memory without structure, behind the pages of slots.
pub const BOUNCE_PAGES: usize = SLOTS_PER_PAGE;
/// Pages that a process shares with its proxy: first those of slots, then the bounce pages.
pub const SHARED_PAGES: usize = SLOT_PAGES + BOUNCE_PAGES;

/// The number of the bounce page of slot `index` among the shared pages, if that can have one.
#[must_use]
pub const fn bounce_page(index: usize) -> Option<usize> {
    if index < BOUNCE_PAGES {
        Some(SLOT_PAGES + index)
    } else {
        None
    }
}

/// One slot; the first line carries the call, the second what is needed to ring.
#[repr(C, align(128))]
pub struct DelegationSlot {
    /// See the module's state machine. Writers: both, by swap and CAS.
    state: AtomicU32,
    /// Always 0.
    reserved0: u32,
    /// System call number. Writer: co-kernel.
    number: AtomicU64,
    /// Arguments 0–4. Writer: co-kernel.
    args: [AtomicU64; 5],
    /// Argument 5 while POSTED (writer: co-kernel), the answer ([`errno::encode`]) while DONE (writer:
    /// worker). The phase says whose word it is; sharing it keeps the whole call in one line.
    last: AtomicU64,
    /// Linux CPU the worker fell asleep on. Writer: worker, before ASLEEP.
    pub sleeping_cpu: AtomicU32,
    /// The worker's thread id on Linux; 0 = there is none (yet, or any more). Writer: worker, when
    /// it begins and, as the last thing it does to the slot, when it ends.
    pub worker_tid: AtomicU32,
    /// Signals the thread blocks during the call, bit n − 1 = signal n. Writer: co-kernel, before
    /// POSTED.
    pub blocked: AtomicU64,
    /// Linux CPU that serves the co-kernel CPU on which the thread runs, plus 1; 0: any. Writer:
    /// co-kernel, before POSTED.
    pub server: AtomicU32,
    /// Always 0.
    reserved1: u32,
    /// Signals that the thread blocks, as far as the worker has been told; while it is idle, the worker
    /// blocks those of them that Linux deals with. Writers: the worker, and before it begins who starts
    /// it.
    pub idle_blocked: AtomicU64,
    /// Keeps slots two lines apart (adjacent-line prefetch).
    reserved2: [u64; 4],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<DelegationSlot>() == 128);
    assert!(offset_of!(DelegationSlot, number) == 8);
    assert!(offset_of!(DelegationSlot, last) == 56);
    assert!(offset_of!(DelegationSlot, sleeping_cpu) == 64);
    assert!(offset_of!(DelegationSlot, blocked) == 72);
    assert!(offset_of!(DelegationSlot, server) == 80);
    assert!(offset_of!(DelegationSlot, idle_blocked) == 88);
    assert!(size_of::<DelegationSlot>() * SLOTS_PER_PAGE == 4096);
};

impl DelegationSlot {
    /// A free slot in ordinary memory (tests and models; zeroed memory is one).
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: AtomicU32::new(FREE),
            reserved0: 0,
            number: AtomicU64::new(0),
            args: core::array::from_fn(|_| AtomicU64::new(0)),
            last: AtomicU64::new(0),
            sleeping_cpu: AtomicU32::new(0),
            worker_tid: AtomicU32::new(0),
            blocked: AtomicU64::new(0),
            server: AtomicU32::new(0),
            reserved1: 0,
            idle_blocked: AtomicU64::new(0),
            reserved2: [0; 4],
        }
    }

    // ---- the app thread's half (co-kernel) ----

    /// Posts `request`. The slot must be this thread's own and have no call in flight.
    ///
    /// # Errors
    ///
    /// [`SlotError::BadState`] if the old state was not FREE or DONE: the proxy broke the protocol.
    #[inline]
    pub fn post(&self, request: &Request) -> Result<Wake, SlotError> {
        let [head @ .., last] = request.args;
        self.number.store(request.number, Ordering::Relaxed);
        for (word, value) in self.args.iter().zip(head) {
            word.store(value, Ordering::Relaxed);
        }
        self.last.store(last, Ordering::Relaxed);
        match self.state.swap(POSTED, Ordering::AcqRel) {
            FREE | DONE => Ok(Wake::NotNeeded),
            old if old & !ASLEEP == FREE || old & !ASLEEP == DONE => Ok(Wake::Ring),
            old => Err(SlotError::BadState(old)),
        }
    }

    /// The answer, if the worker is done.
    ///
    /// # Errors
    ///
    /// [`SlotError::BadState`] for a state that cannot follow POSTED.
    #[inline]
    pub fn poll(&self) -> Result<Option<SyscallResult>, SlotError> {
        let state = self.state.load(Ordering::Acquire);
        if state == POSTED {
            return Ok(None); // what nearly every look sees
        }
        match state & !ASLEEP {
            DONE => Ok(Some(errno::decode(self.last.load(Ordering::Relaxed)))),
            _ if state & PHASE == POSTED && state & !(PHASE | WAITER | CANCEL) == 0 => Ok(None),
            _ => Err(SlotError::BadState(state)),
        }
    }

    /// The app thread is about to give its CPU away. `true`: the worker will ring. `false`: the
    /// state changed, poll again.
    #[must_use]
    pub fn set_waiter(&self) -> bool {
        let cas = |from| {
            self.state
                .compare_exchange(from, from | WAITER, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        cas(POSTED) || cas(POSTED | CANCEL)
    }

    /// Asks the worker to interrupt the call. `false`: too late, it is done (or broken).
    #[must_use]
    pub fn set_cancel(&self) -> bool {
        let cas = |from| {
            self.state
                .compare_exchange(from, from | CANCEL, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        cas(POSTED) || cas(POSTED | WAITER)
    }

    // ---- the worker's half (mcexec) ----

    /// The request, if one waits.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Option<Request> {
        if self.state.load(Ordering::Acquire) & PHASE != POSTED {
            return None;
        }
        let mut args = [0; 6];
        for (value, word) in args.iter_mut().zip(&self.args) {
            *value = word.load(Ordering::Relaxed);
        }
        args[5] = self.last.load(Ordering::Relaxed);
        Some(Request {
            number: self.number.load(Ordering::Relaxed),
            args,
        })
    }

    /// Whether the app thread asked for the call in flight to be interrupted.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::Acquire) & (PHASE | CANCEL) == POSTED | CANCEL
    }

    /// Answers the request that [`Self::take`] returned.
    #[inline]
    pub fn finish(&self, answer: SyscallResult) -> Wake {
        self.last.store(errno::encode(answer), Ordering::Relaxed);
        if self.state.swap(DONE, Ordering::AcqRel) & WAITER != 0 {
            Wake::Ring
        } else {
            Wake::NotNeeded
        }
    }

    /// The worker is about to sleep in mcctrl, which looks at [`Self::is_asleep`] once more after
    /// it has queued itself. `false`: a request came, take it.
    #[must_use]
    pub fn set_asleep(&self) -> bool {
        let cas = |from| {
            self.state
                .compare_exchange(from, from | ASLEEP, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        cas(DONE) || cas(FREE)
    }

    /// The worker is up again (for whatever reason).
    pub fn clear_asleep(&self) {
        let cas = |from| {
            self.state
                .compare_exchange(from | ASLEEP, from, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        let _ = cas(DONE) || cas(FREE);
    }

    /// Whether the worker still waits for a doorbell (mcctrl's sleep condition).
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Acquire) & ASLEEP != 0
    }
}

impl Default for DelegationSlot {
    fn default() -> Self {
        Self::new()
    }
}
