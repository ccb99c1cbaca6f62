// SPDX-License-Identifier: GPL-2.0
//! The signals that Linux keeps pending for a process. A signal whose action is the default is Linux's to deal
//! with; if all threads of the program block it, it must stay pending there, and not kill or stop
//! mcexec. So must one that the program reads from a signalfd. Other signals with a handler are never
//! blocked there: they are sent on, and wait here.
//!
//! The proxy's control thread and the thread's own worker are told when the difference matters;
//! in a call every worker blocks what its thread blocks. Programs and their C library
//! block everything for a moment around forks and new threads; that is told only if somebody waits
//! for signals that way.

use core::sync::atomic::Ordering;

use cokernel_logic::signals::number::{SIGPIPE, SIGXFSZ};
use cokernel_logic::signals::SignalSet;
use ihk_ikc::process::op;

use crate::delegate;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::signal::RESERVED;

/// Before user mode goes on with the mask it has.
pub fn sync(process: &Process) {
    let momentary = |mask, known| if is_everything(mask) { known } else { mask };
    let all = momentary(blocked_by_all(process), process.proxy_signals.kept());
    let own = momentary(sched::current().data.signals.mask(), told(process));
    notify_linux(process, [all, own]);
}

/// Before the current thread waits for signals.
pub fn sync_for_wait(process: &Process) {
    let own = sched::current().data.signals.mask();
    notify_linux(process, [blocked_by_all(process), own]);
}

/// The proxy has unblocked `signal`, because it has a handler now.
pub fn note_unblocked(process: &Process, signal: u32) {
    process.proxy_signals.remove_kept(signal);
}

/// The current thread has unblocked `signals`. If its own calls may have brought one of them about,
/// which then waits with its worker, a call brings it here.
pub fn after_unblocking(process: &Process, signals: SignalSet) {
    let mut earned = SignalSet::EMPTY;
    earned.add(SIGPIPE);
    earned.add(SIGXFSZ);
    if signals.0 & earned.0 != 0 && !is_everything(signals) {
        notify_linux_again(process);
    }
}

/// Tells Linux the masks once more that it knows already.
fn notify_linux_again(process: &Process) {
    tell([process.proxy_signals.kept(), told(process)]);
}

/// Whether `mask` blocks all that can be blocked: for a moment, as a rule.
fn is_everything(mask: SignalSet) -> bool {
    mask.union(RESERVED).union(SignalSet::UNBLOCKABLE) == SignalSet(u64::MAX)
}

/// Whether `signal` must wait in Linux even if the program sends it to itself: it is to be read from
/// a signalfd.
pub fn is_read_as_file(process: &Process, signal: u32) -> bool {
    let files = process.proxy_signals.read_as_files();
    files.contains(signal) && blocked_by_all(process).contains(signal)
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

fn notify_linux(process: &Process, [all, own]: [SignalSet; 2]) {
    // The signals that the program waits for come here, too, see `syscall::sigaction::await_from_proxy`.
    let awaited = process.proxy_signals.awaited();
    let files = process.proxy_signals.read_as_files();
    let linuxs = process.signals.defaults().union(files);
    let linuxs = linuxs.without(SignalSet::UNBLOCKABLE).without(awaited);
    let kept = SignalSet(all.0 & linuxs.0);
    let differs = (kept.0 ^ process.proxy_signals.kept().0) | (own.0 ^ told(process).0);
    if differs & linuxs.0 != 0 && !process.is_dying() {
        tell([kept, own]);
        process.proxy_signals.set_kept(kept);
    }
}

/// Whether the worker of slot `slot` knows `mask`, with which a new thread begins there.
pub fn is_told(process: &Process, slot: u32, mask: SignalSet) -> bool {
    is_everything(mask) || told_in(process, slot) == mask
}

/// The signals that the current thread blocks, as far as its worker has been told.
fn told(process: &Process) -> SignalSet {
    told_in(process, sched::current().slot)
}

fn told_in(process: &Process, slot: u32) -> SignalSet {
    SignalSet(
        process
            .slots
            .slot(slot)
            .idle_blocked
            .load(Ordering::Relaxed),
    )
}

fn tell([all, own]: [SignalSet; 2]) {
    // A proxy that cannot be told is on its way out.
    let _ = delegate::call_directly(op::MASK, [all.0, own.0, 0, 0, 0, 0]);
}
