// SPDX-License-Identifier: GPL-2.0
//! What Linux keeps pending for a process. A signal whose action is the default is Linux's to deal
//! with; if all threads of the program block it, it must stay pending there, and not kill or stop
//! mcexec. Signals with a handler are never blocked there: they are sent on, and wait here.
//!
//! The proxy's control thread is told when the difference matters. Programs and their C library
//! block everything for a moment around forks and new threads; that is told only if somebody waits
//! for signals that way.

use core::sync::atomic::Ordering;

use cokernel_logic::signals::SignalSet;
use ihk_ikc::process::op;

use crate::delegate;
use crate::task::process::Process;

/// The C library's own signals, which programs cannot block.
const RESERVED: SignalSet = SignalSet(3 << 31);

/// Before user mode goes on with the mask it has.
pub fn sync(process: &Process) {
    let blocked = blocked_by_all(process);
    let for_a_moment = blocked.union(RESERVED).union(SignalSet::UNBLOCKABLE) == SignalSet(u64::MAX);
    if !for_a_moment {
        tell(process, blocked);
    }
}

/// Before the current thread waits for signals.
pub fn sync_for_wait(process: &Process) {
    tell(process, blocked_by_all(process));
}

/// The proxy has unblocked `signal`, because it has a handler now.
pub fn note_unblocked(process: &Process, signal: u32) {
    let mut bit = SignalSet::EMPTY;
    bit.add(signal);
    process.proxy_mask.fetch_and(!bit.0, Ordering::Relaxed);
}

fn blocked_by_all(process: &Process) -> SignalSet {
    let masks = process.threads();
    let all = u64::MAX;
    SignalSet(
        masks
            .iter()
            .fold(all, |set, thread| set & thread.data.signals.mask().0),
    )
}

fn tell(process: &Process, blocked: SignalSet) {
    // What the program waits for comes here, too, see `syscall::sigaction::await_from_proxy`.
    let awaited = SignalSet(process.awaited.load(Ordering::Relaxed));
    let defaults = process.signals.defaults().without(SignalSet::UNBLOCKABLE);
    let defaults = defaults.without(awaited);
    let wanted = blocked.0 & defaults.0;
    let before = process.proxy_mask.load(Ordering::Relaxed);
    if (wanted ^ before) & defaults.0 != 0 && !process.is_dying() {
        // A proxy that cannot be told is on its way out.
        let _ = delegate::call(op::MASK, [wanted, 0, 0, 0, 0, 0]);
        process.proxy_mask.store(wanted, Ordering::Relaxed);
    }
}
