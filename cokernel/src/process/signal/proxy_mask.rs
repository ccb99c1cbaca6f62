// SPDX-License-Identifier: GPL-2.0
//! The signals that Linux keeps pending for a process. A signal whose action is the default is Linux's to deal
//! with; if all threads of the program block it, it must stay pending there, and not kill or stop
//! mcexec. So must one that the program reads from a signalfd. Other signals with a handler are never
//! blocked there: they are sent on, and wait here.
//!
//! The proxy's control thread and the main thread's worker are told when the difference matters;
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
    let blocked = blocked_by_all(process);
    if !is_everything(blocked) {
        notify_linux(process, blocked);
    }
}

/// Before the current thread waits for signals.
pub fn sync_for_wait(process: &Process) {
    notify_linux(process, blocked_by_all(process));
}

/// The proxy has unblocked `signal`, because it has a handler now.
pub fn note_unblocked(process: &Process, signal: u32) {
    let mut bit = SignalSet::EMPTY;
    bit.add(signal);
    process.proxy_mask.fetch_and(!bit.0, Ordering::Relaxed);
    process.main_proxy_mask.fetch_and(!bit.0, Ordering::Relaxed);
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
    let told = [&process.proxy_mask, &process.main_proxy_mask];
    let [all, main] = told.map(|mask| mask.load(Ordering::Relaxed));
    // A proxy that cannot be told is on its way out.
    let _ = delegate::call_directly(op::MASK, [all, main, 0, 0, 0, 0]);
}

/// Whether `mask` blocks all that can be blocked: for a moment, as a rule.
fn is_everything(mask: SignalSet) -> bool {
    mask.union(RESERVED).union(SignalSet::UNBLOCKABLE) == SignalSet(u64::MAX)
}

/// Whether `signal` must wait in Linux even if the program sends it to itself: it is to be read from
/// a signalfd.
pub fn is_read_as_file(process: &Process, signal: u32) -> bool {
    let files = SignalSet(process.read_as_files.load(Ordering::Relaxed));
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

fn notify_linux(process: &Process, blocked: SignalSet) {
    // The signals that the program waits for come here, too, see `syscall::sigaction::await_from_proxy`.
    let awaited = SignalSet(process.awaited.load(Ordering::Relaxed));
    let files = SignalSet(process.read_as_files.load(Ordering::Relaxed));
    let linuxs = process.signals.defaults().union(files);
    let linuxs = linuxs.without(SignalSet::UNBLOCKABLE).without(awaited).0;
    let before = process.proxy_mask.load(Ordering::Relaxed);
    let main_before = process.main_proxy_mask.load(Ordering::Relaxed);
    let me = sched::current();
    let wanted = blocked.0 & linuxs;
    let main_wanted = if me.slot == 0 {
        me.data.signals.mask().0 & linuxs
    } else {
        main_before
    };
    let differs = ((wanted ^ before) | (main_wanted ^ main_before)) & linuxs != 0;
    if differs && !process.is_dying() {
        // A proxy that cannot be told is on its way out.
        let _ = delegate::call_directly(op::MASK, [wanted, main_wanted, 0, 0, 0, 0]);
        process.proxy_mask.store(wanted, Ordering::Relaxed);
        process
            .main_proxy_mask
            .store(main_wanted, Ordering::Relaxed);
    }
}
