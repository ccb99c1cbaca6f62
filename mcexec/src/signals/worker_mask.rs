// SPDX-License-Identifier: GPL-2.0
//! Hop 5.3 of a delegated call: the worker blocks the signals that its thread blocks.
//!
//! In a call a worker blocks exactly what its thread blocks, so the call behaves as it would
//! natively: it brings SIGPIPE or not, and may touch the terminal or not.
//!
//! While the worker is idle, its thread may compute and change its mask without a word to Linux. So
//! an idle worker lets two kinds of signals through. The first are those that are sent on to the
//! co-kernel, which knows the masks. The second are those with the default action that the thread
//! does not block; the co-kernel says which ([`ihk_ikc::process::op::MASK`]), and a new worker begins
//! with what the worker has that starts it. It blocks all others, also those that waited at the end of
//! the last call, and those that Linux keeps for the process.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use ihk_ikc::slot::{DelegationSlot, MAX_SLOTS};
use nix::libc;

use super::own_slot::{self, own_slot};
use super::raw::{self, EARNED};

/// The C library's own signals, bit n − 1 = signal n; one of them interrupts calls.
const RESERVED: u64 = 3 << 31;
/// In [`APPLIED`]: the mask is not known. No worker has this one.
const UNKNOWN: u64 = u64::MAX;

/// Signals that are sent on to the co-kernel.
static FORWARDED: AtomicU64 = AtomicU64::new(0);
/// Thread ids of the workers by slot; 0 = none.
static WORKERS: [AtomicI32; MAX_SLOTS] = [const { AtomicI32::new(0) }; MAX_SLOTS];

/// The signals that the control thread is to block, bit n − 1 = signal n. Linux keeps these pending
/// for the process.
pub(super) static CONTROL_MASK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The signals that this worker blocks, as far as is known.
    static APPLIED: Cell<u64> = const { Cell::new(UNKNOWN) };
    /// The signals that this worker never blocks, because a function of the program runs in it.
    static OPEN: Cell<u64> = const { Cell::new(0) };
    /// Whether this worker is idle.
    static IDLE: Cell<bool> = const { Cell::new(false) };
    /// The signals that waited when the last call had ended. The thread may not have told yet that
    /// it blocks them.
    static WAITING: Cell<u64> = const { Cell::new(0) };
}

/// Sets the signals that the thread of `slot` blocks, before its worker begins.
pub(crate) fn begin(slot: &DelegationSlot, blocked: u64) {
    slot.idle_blocked.store(blocked, Ordering::Relaxed);
}

/// Returns the signals that the thread of this worker blocks, as far as is known; 0 for threads
/// without a slot.
#[must_use]
pub(crate) fn told() -> u64 {
    own_slot::shared().map_or(0, |slot| slot.idle_blocked.load(Ordering::Relaxed))
}

/// Notes that this thread is the only one, after a fork.
pub(crate) fn forget_workers() {
    WORKERS
        .iter()
        .for_each(|worker| worker.store(0, Ordering::SeqCst));
    APPLIED.set(UNKNOWN);
}

/// Notes that the worker of slot `index` is thread `tid`; with 0, that there is none any more.
pub(crate) fn set_worker(index: usize, tid: libc::pid_t) {
    if let Some(worker) = WORKERS.get(index) {
        worker.store(tid, Ordering::SeqCst);
    }
}

/// Notes that the thread of this worker wants exactly the signals `mask` to wait, as long as its
/// worker is idle.
pub(crate) fn tell(mask: u64) {
    if let Some(slot) = own_slot::shared() {
        slot.idle_blocked.store(mask, Ordering::Relaxed);
    }
}

/// Sets whether `signal` is sent on from now on. To be called when its handler is there, or before
/// it goes.
pub(crate) fn set_forwarded(signal: libc::c_int, forwarded: bool) {
    let bit = 1 << (signal - 1);
    let before = if forwarded {
        FORWARDED.fetch_or(bit, Ordering::SeqCst)
    } else {
        FORWARDED.fetch_and(!bit, Ordering::SeqCst)
    };
    if (before & bit != 0) != forwarded {
        renew_idle();
    }
}

/// Has idle workers find out again what they are to block.
pub(crate) fn renew_idle() {
    let own = own_slot().map(|index| index as usize);
    for (index, worker) in WORKERS.iter().enumerate() {
        let tid = worker.load(Ordering::SeqCst);
        if tid != 0 && own != Some(index) {
            raw::send_interrupt(tid);
        }
    }
}

/// Returns the bits of `mask` that are sent on.
pub(crate) fn forwarded_of(mask: u64) -> u64 {
    mask & FORWARDED.load(Ordering::SeqCst)
}

fn idle_mask() -> u64 {
    let closed = told() | WAITING.get();
    let forwarded = FORWARDED.load(Ordering::SeqCst);
    (closed & !forwarded | WAITING.get() & EARNED | CONTROL_MASK.load(Ordering::SeqCst)) & !RESERVED
}

/// Begins idleness of this worker: it is about to poll or sleep for long.
pub(crate) fn enter_idle() {
    if !IDLE.get() && APPLIED.get() != 0 {
        WAITING.set(raw::waiting());
    }
    IDLE.set(true);
    loop {
        let mask = idle_mask();
        apply(mask);
        // Another thread may have changed it, and sent its signal before the mask was set.
        if idle_mask() == mask {
            return;
        }
    }
}

/// Begins a call: this worker performs it for its thread.
pub(crate) fn enter_call(slot: &DelegationSlot) {
    IDLE.set(false);
    WAITING.set(0);
    let blocked = slot.blocked.load(Ordering::Relaxed) & !RESERVED;
    apply(blocked);
}

/// Keeps the signals `set` unblocked in this thread from now on.
pub(crate) fn keep_open(set: u64) {
    OPEN.set(OPEN.get() | set);
    // Before the next call it is found out what else the thread blocks.
    APPLIED.set(UNKNOWN);
}

fn apply(mask: u64) {
    let mask = mask & !OPEN.get();
    if APPLIED.get() != mask {
        raw::set_mask(mask);
        // Afterwards: a handler that came in between had set another one.
        APPLIED.set(mask);
    }
}

/// Returns what an idle worker is to block. The handler that interrupted it calls this.
pub(crate) fn renewed() -> Option<u64> {
    let mask = idle_mask() & !OPEN.get();
    IDLE.get().then(|| {
        APPLIED.set(mask);
        mask
    })
}
