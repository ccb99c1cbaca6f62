// SPDX-License-Identifier: GPL-2.0
//! Signals: actions, pending sets, and what happens to a thread before it goes back to user mode.
//!
//! Lock order: a process's signals, then a thread's. Both are short; user memory is never touched
//! under them.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::signals::number::{SIGPIPE, SIGSEGV, SIGSTOP, SIGXFSZ};
use cokernel_logic::signals::{default_action, leaves_core, DefaultAction, SignalSet, SIGNALS};
use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate;
use crate::sync::SpinLock;
use crate::syscall::errno::Errno;
use crate::syscall::restart;
use crate::task::pending::Pending;
use crate::task::process::Process;
use crate::task::thread::Thread;
use crate::task::{cpu_timer, exit, post_mortem, proxy_mask, sched, signal_frame};

pub use crate::task::pending::Info;

/// `SIG_DFL`.
pub const DEFAULT_HANDLER: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE_HANDLER: u64 = 1;
/// Action flags of Linux the co-kernel acts on.
pub mod flag {
    /// No SIGCHLD when a child stops.
    pub const NOCLDSTOP: u64 = 1;
    /// Children that end leave nothing to wait for.
    pub const NOCLDWAIT: u64 = 2;
    /// The restorer is valid; required on x86-64.
    pub const RESTORER: u64 = 0x0400_0000;
    /// Run on the signal stack.
    pub const ONSTACK: u64 = 0x0800_0000;
    /// Restart interrupted calls.
    pub const RESTART: u64 = 0x1000_0000;
    /// Do not block the signal in its own handler.
    pub const NODEFER: u64 = 0x4000_0000;
    /// Back to the default action when the handler runs.
    pub const RESETHAND: u64 = 0x8000_0000;
}
/// `si_code` of tkill(2) and tgkill(2).
pub const SI_TKILL: i32 = -6;
/// The C library's own signals, which programs cannot block and nobody sends to a whole process.
pub const RESERVED: SignalSet = SignalSet(3 << 31);
/// Number of kill(2).
const SYS_KILL: u64 = 62;

/// What a program wants done with a signal; the layout of Linux's `struct kernel_sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// [`DEFAULT_HANDLER`], [`IGNORE_HANDLER`] or an address.
    pub handler: u64,
    /// See [`flag`].
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked in addition while it runs.
    pub mask: SignalSet,
}

/// The signal stack; `size` 0 = none.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignalStack {
    /// Lowest address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Disarmed while a handler runs on it.
    pub autodisarm: bool,
}

impl SignalStack {
    /// Whether a stack pointer is on it.
    pub fn contains(&self, sp: u64) -> bool {
        !self.autodisarm && sp > self.start && sp - self.start <= self.size
    }
}

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
    /// What is blocked. Written by the thread itself only.
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
    /// What it waits for with `sigtimedwait`, blocked or not.
    awaited: SignalSet,
    pending: Pending,
    stack: SignalStack,
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

    /// The action of `signal`, a valid number.
    pub fn action(&self, signal: u32) -> Action {
        self.0.lock().actions[signal as usize - 1]
    }

    /// The signals that Linux deals with itself, because their action is the default.
    pub fn defaults(&self) -> SignalSet {
        self.0.lock().defaults
    }

    /// Sets the action of a valid `signal`; the one before. What is to be ignored from now on and
    /// already waits is dropped.
    pub fn set_action(&self, signal: u32, action: Action) -> Action {
        let mut shared = self.0.lock();
        if is_ignored(signal, &action) {
            shared.pending.forget(signal);
        }
        if action.handler == DEFAULT_HANDLER {
            shared.defaults.add(signal);
        } else {
            shared.defaults.remove(signal);
        }
        core::mem::replace(&mut shared.actions[signal as usize - 1], action)
    }

    fn is_ignored(&self, signal: u32) -> bool {
        is_ignored(signal, &self.action(signal))
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

    /// What is blocked.
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

    /// Takes a signal of `set` that waits, the lowest first.
    pub fn take_of(&self, process: &Process, set: SignalSet) -> Option<Info> {
        let mut shared = process.signals.0.lock();
        let mut own = self.own.lock();
        let waiting = own.pending.set.union(shared.pending.set);
        let signal = SignalSet(waiting.0 & set.0).first()?;
        own.pending
            .take(signal)
            .or_else(|| shared.pending.take(signal))
    }

    /// Whether `signal` would concern the thread if it came now.
    fn accepts(&self, signal: u32) -> bool {
        !self.mask().contains(signal) || self.own.lock().awaited.contains(signal)
    }

    /// Ends what [`Self::set_mask_for_now`] began; whether it did.
    fn put_mask_back(&self) -> bool {
        let saved = self.own.lock().saved_mask.take();
        saved.inspect(|mask| self.set_mask(*mask)).is_some()
    }

    /// The signal stack.
    pub fn stack(&self) -> SignalStack {
        self.own.lock().stack
    }

    /// Sets the signal stack.
    pub fn set_stack(&self, stack: SignalStack) {
        self.own.lock().stack = stack;
    }

    /// Whether a signal waits that is not blocked.
    pub fn has_deliverable(&self, process: &Process) -> bool {
        self.pending(process)
            .next_deliverable(self.mask())
            .is_some()
    }

    /// What waits, blocked or not.
    pub fn pending(&self, process: &Process) -> SignalSet {
        let shared = process.signals.0.lock();
        let own = self.own.lock();
        own.pending.set.union(shared.pending.set)
    }

    /// Takes the next signal to deliver.
    fn take(&self, process: &Process) -> Option<Info> {
        let mut shared = process.signals.0.lock();
        let mut own = self.own.lock();
        let signal = own
            .pending
            .set
            .union(shared.pending.set)
            .next_deliverable(self.mask())?;
        own.pending
            .take(signal)
            .or_else(|| shared.pending.take(signal))
    }
}

fn is_ignored(signal: u32, action: &Action) -> bool {
    match action.handler {
        IGNORE_HANDLER => true,
        DEFAULT_HANDLER => matches!(default_action(signal), DefaultAction::Ignore),
        _ => false,
    }
}

/// Sends a signal to the process as a whole; whether there was room for it. Any context.
pub fn send_to_process(process: &Process, info: Info) -> bool {
    let threads = process.threads();
    let blocked = threads
        .iter()
        .all(|thread| thread.data.signals.mask().contains(info.signal));
    if process.signals.is_ignored(info.signal) && !blocked {
        return true;
    }
    if !process.signals.0.lock().pending.add(info) {
        return false;
    }
    let taker = threads
        .iter()
        .find(|thread| thread.data.signals.accepts(info.signal));
    if let Some(thread) = taker {
        alert(thread);
    }
    true
}

/// Sends a signal to one thread; whether there was room for it. Any context.
pub fn send_to_thread(process: &Process, thread: &Arc<Thread>, info: Info) -> bool {
    let blocked = thread.data.signals.mask().contains(info.signal);
    if process.signals.is_ignored(info.signal) && !blocked {
        return true;
    }
    let room = thread.data.signals.own.lock().pending.add(info);
    if room {
        alert(thread);
    }
    room
}

/// Sends a signal that Linux handed to the worker of `thread`. Unless it was surely meant for that
/// thread, it may have been meant for the process: then whoever handles it gets it; whether there
/// was room for it. Any context.
pub fn send_from_worker(process: &Process, thread: &Arc<Thread>, info: Info) -> bool {
    let accepted = |thread: &Arc<Thread>| thread.data.signals.accepts(info.signal);
    let is_sure = info.code == SI_TKILL
        || matches!(info.signal, SIGPIPE | SIGXFSZ)
        || RESERVED.contains(info.signal);
    if is_sure || accepted(thread) {
        return send_to_thread(process, thread, info);
    }
    let is_main = thread.slot == 0;
    let handled = !process.signals.defaults().contains(info.signal);
    if is_main || handled && process.threads().iter().any(accepted) {
        send_to_process(process, info)
    } else {
        send_to_thread(process, thread, info)
    }
}

fn alert(thread: &Arc<Thread>) {
    thread.request_return_work();
    sched::wake(thread);
    sched::kick(thread);
}

/// The current thread's own instruction caused `signal`. It cannot be ignored or put off.
pub fn raise_fault(signal: u32, code: i32, address: u64) {
    let thread = sched::current();
    let Some(process) = &thread.process else {
        return;
    };
    let blocked = thread.data.signals.mask().contains(signal);
    if blocked || process.signals.action(signal).handler == IGNORE_HANDLER {
        process.signals.set_action(signal, Action::default());
        let mut mask = thread.data.signals.mask();
        mask.remove(signal);
        thread.data.signals.set_mask(mask);
    }
    let info = Info {
        signal,
        code,
        first: address,
        second: 0,
    };
    if !thread.data.signals.own.lock().pending.add(info) {
        // No memory for a word about it, and the instruction cannot be passed over.
        process.end(|| delegate::farewell(op::DIE, u64::from(signal)));
    }
    thread.request_return_work();
}

/// All that has to happen before the current thread goes back to user mode at `frame`: end, stay
/// frozen, run handlers, restart an interrupted call.
pub fn before_return(frame: &mut UserFrame) {
    let thread = sched::current();
    let Some(process) = thread.process.as_ref() else {
        return;
    };
    loop {
        thread.take_return_work();
        cpu_timer::look();
        if process.is_dying() {
            post_mortem::record(process, frame);
            exit::end_thread();
        }
        if process.is_frozen() {
            sched::block(|| !process.is_frozen() || process.is_dying());
            continue;
        }
        match thread.data.signals.take(process) {
            Some(info) => deliver(thread, process, frame, info),
            None => break,
        }
    }
    restart::without_handler(frame);
    if thread.data.signals.put_mask_back() && thread.data.signals.has_deliverable(process) {
        return before_return(frame);
    }
    proxy_mask::sync(process);
}

fn deliver(thread: &Thread, process: &Process, frame: &mut UserFrame, info: Info) {
    let action = process.signals.action(info.signal);
    match action.handler {
        IGNORE_HANDLER => {}
        DEFAULT_HANDLER => default(process, frame, &info),
        _ => handle(thread, process, frame, &info, &action),
    }
}

fn default(process: &Process, frame: &UserFrame, info: &Info) {
    match default_action(info.signal) {
        DefaultAction::Ignore | DefaultAction::Continue => {}
        DefaultAction::Stop => {
            // Linux stops the proxy, mcctrl sees it and freezes us.
            let pid = u64::from_ne_bytes(i64::from(process.pid).to_ne_bytes());
            delegate::call(SYS_KILL, [pid, u64::from(SIGSTOP), 0, 0, 0, 0]);
        }
        DefaultAction::Terminate => die(process, frame, info),
    }
}

/// Lets `frame` continue in the handler.
fn handle(thread: &Thread, process: &Process, frame: &mut UserFrame, info: &Info, action: &Action) {
    restart::before_handler(frame, action.flags & flag::RESTART != 0);
    let signals = &thread.data.signals;
    let (mask, stack) = {
        let mut own = signals.own.lock();
        (own.saved_mask.take().unwrap_or(signals.mask()), own.stack)
    };
    if signal_frame::push(frame, info, action, mask, stack).is_err() {
        return fail(process, frame, info);
    }
    if action.flags & flag::RESETHAND != 0 {
        process.signals.set_action(
            info.signal,
            Action {
                handler: DEFAULT_HANDLER,
                ..*action
            },
        );
    }
    let mut blocked = signals.mask().union(action.mask);
    if action.flags & flag::NODEFER == 0 {
        blocked.add(info.signal);
    }
    signals.set_mask(blocked);
    let mut own = signals.own.lock();
    if own.stack.autodisarm {
        own.stack = SignalStack::default();
    }
}

/// There is no room for a handler's frame: SIGSEGV, and the end if that was it.
fn fail(process: &Process, frame: &UserFrame, info: &Info) {
    if info.signal == SIGSEGV {
        return die(process, frame, info);
    }
    raise_fault(SIGSEGV, signal_frame::SI_KERNEL, 0);
}

/// The process ends by the signal of `info`; the current thread ends in [`before_return`].
fn die(process: &Process, frame: &UserFrame, info: &Info) {
    if leaves_core(info.signal) {
        return post_mortem::end_with_core(process, frame, info);
    }
    process.end(|| delegate::farewell(op::DIE, u64::from(info.signal)));
}

/// A handler returned: `frame` continues where the signal came.
///
/// # Errors
///
/// `EFAULT`: what lies on the stack is no signal frame; the thread has got SIGSEGV.
pub fn sigreturn(frame: &mut UserFrame) -> Result<(), Errno> {
    let thread = sched::current();
    match signal_frame::pop(frame) {
        Ok((mask, stack)) => {
            thread.data.signals.set_mask(mask);
            thread.data.signals.set_stack(stack);
            thread.request_return_work();
            Ok(())
        }
        Err(errno) => {
            raise_fault(SIGSEGV, signal_frame::SI_KERNEL, 0);
            Err(errno)
        }
    }
}
