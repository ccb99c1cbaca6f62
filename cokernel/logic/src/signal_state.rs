// SPDX-License-Identifier: GPL-2.0
//! Signals of processes and threads: actions, masks and pending sets.
//!
//! Lock order: a process's signals, then a thread's. Both are short; user memory is never touched
//! under them.
//!
//! ```text
//!  sender                                  thread that is about to block
//!  adds the signal (lock)                  says that it is blocked (run_state)
//!  requests return work                    looks at what waits (lock)
//!  wakes the thread if it is blocked       blocks, or goes back and delivers
//! ```
//! **Signal against a blocking call** (loom: `tests/loom_signals.rs`). The lock orders the two looks:
//! either the thread finds the signal, or the sender finds the thread blocked.
//!
//! **Signal of a process against a mask** (the same model). The sender adds the signal first and looks
//! at masks then for a thread that takes it; a thread that unblocks a signal changes its mask first and
//! looks at what waits then. So either the sender finds the thread, or the thread finds the signal.

use crate::atomic::{AtomicU64, Ordering};
use crate::lock::Lock;
use crate::pending::{Info, Pending};
use crate::signal_action::{Action, DEFAULT_HANDLER, IGNORE_HANDLER};
use crate::signal_frame::Trap;
use crate::signal_room::Room;
use crate::signal_stack::SignalStack;
use crate::signals::number::{SIGPIPE, SIGXFSZ};
use crate::signals::{SignalSet, SIGNALS};

/// `si_code` of tkill(2) and tgkill(2).
pub const SI_TKILL: i32 = -6;
/// The C library's own signals, which programs cannot block and nobody sends to a whole process.
pub const RESERVED: SignalSet = SignalSet(3 << 31);

/// The signals of a process.
pub struct ProcessSignals<L>(L);

/// The signals that all threads of a process share.
pub struct Shared {
    actions: [Action; SIGNALS as usize],
    /// Signals with the default action.
    defaults: SignalSet,
    pending: Pending,
}

/// The signals of a thread.
pub struct ThreadSignals<L> {
    /// The blocked signals. Written by the thread itself only.
    mask: AtomicU64,
    own: L,
}

impl<L: Lock<Own>> Default for ThreadSignals<L> {
    fn default() -> Self {
        Self::new(SignalSet::EMPTY)
    }
}

/// The signals that are one thread's own.
#[derive(Default)]
pub struct Own {
    /// The mask to go back to after a call that changed it for its duration.
    saved_mask: Option<SignalSet>,
    /// The signals that it waits for with `sigtimedwait`, blocked or not.
    awaited: SignalSet,
    pending: Pending,
    stack: SignalStack,
    trap: Trap,
}

impl<L: Lock<Shared>> ProcessSignals<L> {
    /// Default actions, except for the `ignored` ones.
    pub fn new(ignored: SignalSet) -> Self {
        let mut actions = [Action::default(); SIGNALS as usize];
        let defaults = SignalSet(u64::MAX).without(ignored);
        for (signal, action) in (1..).zip(&mut actions) {
            if ignored.contains(signal) {
                action.handler = IGNORE_HANDLER;
            }
        }
        Self(L::new(Shared {
            actions,
            defaults,
            pending: Pending::default(),
        }))
    }

    /// Those of a child of fork: the same actions, nothing waits.
    pub fn inherit(&self) -> Self {
        let (actions, defaults) = {
            let shared = self.0.lock();
            (shared.actions, shared.defaults)
        };
        Self(L::new(Shared {
            actions,
            defaults,
            pending: Pending::default(),
        }))
    }

    /// Gives every signal that has a handler its default action; which they were.
    pub fn clear_handlers(&self) -> SignalSet {
        let mut shared = self.0.lock();
        let mut cleared = SignalSet::EMPTY;
        for (signal, action) in (1..).zip(&mut shared.actions) {
            if !matches!(action.handler, DEFAULT_HANDLER | IGNORE_HANDLER) {
                *action = Action::default();
                cleared.add(signal);
            }
        }
        shared.defaults = shared.defaults.union(cleared);
        cleared
    }

    /// The action of `signal`, a valid number.
    pub fn action(&self, signal: u32) -> Action {
        self.0.lock().actions[signal as usize - 1]
    }

    /// The signals that Linux deals with itself, because their action is the default.
    pub fn defaults(&self) -> SignalSet {
        self.0.lock().defaults
    }

    /// Sets the action of a valid `signal`; the one before. What is to be ignored from now on and
    /// already waits for the process as a whole is dropped.
    pub fn set_action(&self, signal: u32, action: Action) -> Action {
        let mut shared = self.0.lock();
        if action.is_ignored_for(signal) {
            shared.pending.forget(SignalSet::of(signal));
        }
        if action.handler == DEFAULT_HANDLER {
            shared.defaults.add(signal);
        } else {
            shared.defaults.remove(signal);
        }
        core::mem::replace(&mut shared.actions[signal as usize - 1], action)
    }

    /// Adds a signal for the process as a whole. `false`: there is no room for it.
    pub fn add(&self, info: Info, room: &Room) -> bool {
        self.0.lock().pending.add(info, room)
    }

    /// Adds the signal of a timer for the process as a whole.
    pub fn add_expiry(&self, info: Info, room: &Room) {
        self.0.lock().pending.add_expiry(info, room);
    }

    /// Drops the signal of timer `id`, if it waits for the process as a whole.
    pub fn forget_expiry(&self, id: u32) {
        self.0.lock().pending.forget_expiry(id);
    }

    /// The signals that are pending for the process as a whole.
    pub fn waiting(&self) -> SignalSet {
        self.0.lock().pending.set()
    }

    /// The signals that it wants to be ignored.
    pub fn ignored(&self) -> SignalSet {
        self.with_handlers(|handler| handler == IGNORE_HANDLER)
    }

    /// The signals that have handlers.
    pub fn caught(&self) -> SignalSet {
        self.with_handlers(|handler| !matches!(handler, DEFAULT_HANDLER | IGNORE_HANDLER))
    }

    fn with_handlers(&self, wanted: impl Fn(u64) -> bool) -> SignalSet {
        let shared = self.0.lock();
        let mut set = SignalSet::EMPTY;
        for (signal, action) in (1..).zip(&shared.actions) {
            if wanted(action.handler) {
                set.add(signal);
            }
        }
        set
    }

    /// Whether `signal`, a valid number, leaves no trace when it comes.
    pub fn is_ignored(&self, signal: u32) -> bool {
        self.action(signal).is_ignored_for(signal)
    }

    /// Drops what waits of `signals`.
    pub fn forget(&self, signals: SignalSet) {
        self.0.lock().pending.forget(signals);
    }
}

impl<L: Lock<Own>> ThreadSignals<L> {
    /// Nothing waits, `mask` is blocked.
    pub fn new(mask: SignalSet) -> Self {
        Self {
            mask: AtomicU64::new(mask.0),
            own: L::new(Own::default()),
        }
    }

    /// The blocked signals.
    pub fn mask(&self) -> SignalSet {
        SignalSet(self.mask.load(Ordering::SeqCst))
    }

    /// Blocks exactly `mask`, except what cannot be blocked. Only the thread itself.
    pub fn set_mask(&self, mask: SignalSet) {
        let mask = mask.without(SignalSet::UNBLOCKABLE);
        self.mask.store(mask.0, Ordering::SeqCst);
    }

    /// Blocks exactly `mask` until the next handler runs, or until the thread is back in user mode.
    pub fn set_mask_for_now(&self, mask: SignalSet) {
        self.own.lock().saved_mask = Some(self.mask());
        self.set_mask(mask);
    }

    /// Waits for `awaited` from now on, or no longer if that is empty: such signals reach the thread
    /// even if it blocks them.
    pub fn set_awaited(&self, awaited: SignalSet) {
        self.own.lock().awaited = awaited;
    }

    /// Takes a signal of `set` that waits: the thread's own before the process's, as on Linux, and
    /// the lowest of them first.
    pub fn take_of<S: Lock<Shared>>(
        &self,
        shared: &ProcessSignals<S>,
        set: SignalSet,
    ) -> Option<Info> {
        let mut shared = shared.0.lock();
        let mut own = self.own.lock();
        let lowest = |waiting: SignalSet| SignalSet(waiting.0 & set.0).first();
        own.pending
            .take_first(lowest)
            .or_else(|| shared.pending.take_first(lowest))
    }

    /// Whether `signal` would concern the thread if it came now.
    pub fn accepts(&self, signal: u32) -> bool {
        !self.mask().contains(signal) || self.own.lock().awaited.contains(signal)
    }

    /// Ends what [`Self::set_mask_for_now`] began; whether it did.
    pub fn put_mask_back(&self) -> bool {
        let saved = self.own.lock().saved_mask.take();
        saved.inspect(|mask| self.set_mask(*mask)).is_some()
    }

    /// Drops what waits of `signals` for this thread.
    pub fn forget(&self, signals: SignalSet) {
        self.own.lock().pending.forget(signals);
    }

    /// The signals that are pending for this thread.
    pub fn waiting(&self) -> SignalSet {
        self.own.lock().pending.set()
    }

    /// Remembers the exception that the thread's last fault began with.
    pub fn set_trap(&self, trap: Trap) {
        self.own.lock().trap = trap;
    }

    /// The exception that the thread's last fault began with.
    pub fn trap(&self) -> Trap {
        self.own.lock().trap
    }

    /// The signal stack.
    pub fn stack(&self) -> SignalStack {
        self.own.lock().stack
    }

    /// Sets the signal stack.
    pub fn set_stack(&self, stack: SignalStack) {
        self.own.lock().stack = stack;
    }

    /// Adds a signal for this thread. `false`: there is no room for it.
    pub fn add(&self, info: Info, room: &Room) -> bool {
        self.own.lock().pending.add(info, room)
    }

    /// Adds the signal of a timer for this thread.
    pub fn add_expiry(&self, info: Info, room: &Room) {
        self.own.lock().pending.add_expiry(info, room);
    }

    /// Drops the signal of timer `id`, if it waits for this thread.
    pub fn forget_expiry(&self, id: u32) {
        self.own.lock().pending.forget_expiry(id);
    }

    /// The mask that a handler which begins now brings back, and the signal stack.
    pub fn take_handler_start(&self) -> (SignalSet, SignalStack) {
        let mut own = self.own.lock();
        (own.saved_mask.take().unwrap_or(self.mask()), own.stack)
    }

    /// A handler begins on the signal stack: one that disarms itself is not there until it ends.
    pub fn disarm_stack(&self) {
        let mut own = self.own.lock();
        if own.stack.disarms_itself() {
            own.stack = SignalStack::DISABLED;
        }
    }

    /// Whether a signal waits that is not blocked, here or among those of the process, `shared`.
    pub fn has_deliverable<S: Lock<Shared>>(&self, shared: &ProcessSignals<S>) -> bool {
        self.pending(shared).next_deliverable(self.mask()).is_some()
    }

    /// The pending signals, blocked or not.
    pub fn pending<S: Lock<Shared>>(&self, shared: &ProcessSignals<S>) -> SignalSet {
        let shared = shared.0.lock();
        let own = self.own.lock();
        own.pending.set().union(shared.pending.set())
    }

    /// Takes the next signal to deliver: the thread's own before the process's, as on Linux.
    pub fn take<S: Lock<Shared>>(&self, shared: &ProcessSignals<S>) -> Option<Info> {
        let mut shared = shared.0.lock();
        let mut own = self.own.lock();
        let mask = self.mask();
        own.pending
            .take_first(|set| set.next_deliverable(mask))
            .or_else(|| shared.pending.take_first(|set| set.next_deliverable(mask)))
    }
}

/// The addressee of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// One thread.
    Thread,
    /// Any thread of the process that takes it.
    Process,
}

/// The addressee of a signal that Linux handed to the worker of a thread, which `accepts` it or not, and is its
/// process's main thread or not. Unless it was surely meant for that thread, it may have been meant for the
/// process: then any thread that `others_accept` gets it, if it is `handled` and not left to Linux.
pub fn addressee(
    info: &Info,
    accepts: bool,
    is_main: bool,
    handled: bool,
    others_accept: impl FnOnce() -> bool,
) -> Addressee {
    let is_sure = info.code == SI_TKILL
        || matches!(info.signal, SIGPIPE | SIGXFSZ)
        || RESERVED.contains(info.signal);
    if !is_sure && !accepts && (is_main || handled && others_accept()) {
        Addressee::Process
    } else {
        Addressee::Thread
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
