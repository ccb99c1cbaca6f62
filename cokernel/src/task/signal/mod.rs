// SPDX-License-Identifier: GPL-2.0
//! Signals: actions, masks and pending sets; `send` adds to them, [`crate::process::signal::deliver`] acts on
//! them.
//!
//! Lock order: a process's signals, then a thread's. Both are short; user memory is never touched
//! under them.

pub mod proxy;
pub mod send;

use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::pending::Pending;
pub use cokernel_logic::pending::{Info, SI_KERNEL};
pub use cokernel_logic::signal_action::{flag, Action, DEFAULT_HANDLER, IGNORE_HANDLER};
pub use cokernel_logic::signal_frame::Trap;
pub use cokernel_logic::signal_stack::SignalStack;
use cokernel_logic::signals::{SignalSet, SIGNALS};

use crate::sync::SpinLock;

/// `si_code` of tkill(2) and tgkill(2).
pub const SI_TKILL: i32 = -6;
/// The C library's own signals, which programs cannot block and nobody sends to a whole process.
pub const RESERVED: SignalSet = SignalSet(3 << 31);

/// The signals of a process.
pub struct ProcessSignals(SpinLock<Shared>);

struct Shared {
    actions: [Action; SIGNALS as usize],
    /// Signals with the default action.
    defaults: SignalSet,
    pending: Pending,
}

/// The signals of a thread.
pub struct ThreadSignals {
    /// The blocked signals. Written by the thread itself only.
    mask: AtomicU64,
    own: SpinLock<Own>,
}

impl Default for ThreadSignals {
    fn default() -> Self {
        Self::new(SignalSet::EMPTY)
    }
}

#[derive(Default)]
struct Own {
    /// The mask to go back to after a call that changed it for its duration.
    saved_mask: Option<SignalSet>,
    /// The signals that it waits for with `sigtimedwait`, blocked or not.
    awaited: SignalSet,
    pending: Pending,
    stack: SignalStack,
    trap: Trap,
}

impl ProcessSignals {
    /// Default actions, except for the `ignored` ones.
    pub fn new(ignored: SignalSet) -> Self {
        let mut actions = [Action::default(); SIGNALS as usize];
        let defaults = SignalSet(u64::MAX).without(ignored);
        for (signal, action) in (1..).zip(&mut actions) {
            if ignored.contains(signal) {
                action.handler = IGNORE_HANDLER;
            }
        }
        Self(SpinLock::new(Shared {
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
        Self(SpinLock::new(Shared {
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
    fn set_action(&self, signal: u32, action: Action) -> Action {
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

    fn is_ignored(&self, signal: u32) -> bool {
        self.action(signal).is_ignored_for(signal)
    }

    /// Drops what waits of `signals`.
    fn forget(&self, signals: SignalSet) {
        self.0.lock().pending.forget(signals);
    }
}

impl ThreadSignals {
    /// Nothing waits, `mask` is blocked.
    pub fn new(mask: SignalSet) -> Self {
        Self {
            mask: AtomicU64::new(mask.0),
            own: SpinLock::new(Own::default()),
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
    pub fn take_of(&self, shared: &ProcessSignals, set: SignalSet) -> Option<Info> {
        let mut shared = shared.0.lock();
        let mut own = self.own.lock();
        let lowest = |waiting: SignalSet| SignalSet(waiting.0 & set.0).first();
        own.pending
            .take_first(lowest)
            .or_else(|| shared.pending.take_first(lowest))
    }

    /// Whether `signal` would concern the thread if it came now.
    fn accepts(&self, signal: u32) -> bool {
        !self.mask().contains(signal) || self.own.lock().awaited.contains(signal)
    }

    /// Ends what [`Self::set_mask_for_now`] began; whether it did.
    pub fn put_mask_back(&self) -> bool {
        let saved = self.own.lock().saved_mask.take();
        saved.inspect(|mask| self.set_mask(*mask)).is_some()
    }

    /// Drops what waits of `signals` for this thread.
    fn forget(&self, signals: SignalSet) {
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

    /// Adds a signal for this thread; whether there was room for it.
    pub fn add(&self, info: Info) -> bool {
        self.own.lock().pending.add(info)
    }

    /// The mask that a handler which begins now brings back, and the signal stack.
    pub fn take_handler_start(&self) -> (SignalSet, SignalStack) {
        let mut own = self.own.lock();
        (own.saved_mask.take().unwrap_or(self.mask()), own.stack)
    }

    /// A handler begins on the signal stack: one that disarms itself is not there until it ends.
    pub fn disarm_stack(&self) {
        let mut own = self.own.lock();
        if own.stack.autodisarm {
            own.stack = SignalStack::default();
        }
    }

    /// Whether a signal waits that is not blocked, here or among those of the process, `shared`.
    pub fn has_deliverable(&self, shared: &ProcessSignals) -> bool {
        self.pending(shared).next_deliverable(self.mask()).is_some()
    }

    /// The pending signals, blocked or not.
    pub fn pending(&self, shared: &ProcessSignals) -> SignalSet {
        let shared = shared.0.lock();
        let own = self.own.lock();
        own.pending.set().union(shared.pending.set())
    }

    /// Takes the next signal to deliver: the thread's own before the process's, as on Linux.
    pub fn take(&self, shared: &ProcessSignals) -> Option<Info> {
        let mut shared = shared.0.lock();
        let mut own = self.own.lock();
        let mask = self.mask();
        own.pending
            .take_first(|set| set.next_deliverable(mask))
            .or_else(|| shared.pending.take_first(|set| set.next_deliverable(mask)))
    }
}
