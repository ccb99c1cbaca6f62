// SPDX-License-Identifier: GPL-2.0
//! The parts that a process is made of, and the initial state of its main thread.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cokernel_logic::signals::SignalSet;
use ihk_ikc::scheduling::Scheduling;

use crate::arch::UserFrame;
use crate::frames::owned::OwnedRun;
use crate::sync::SpinLock;
use crate::task::accounting::Accounting;
use crate::task::exec_carry::Placement;
use crate::task::rlimits::Limits;
use crate::task::signal::account::SignalAccount;
use crate::task::signal::proxy::ProxySignals;
use crate::task::signal::{ProcessSignals, ThreadSignals};
use crate::task::slots::Slots;
use crate::task::thread::{Registers, Thread};

/// The parts that [`super::Process::new`] puts together.
pub struct Parts {
    /// Its delegation slots.
    pub slots: Slots,
    /// Becomes [`super::Process::revoke_array`].
    pub revoke_array: OwnedRun,
    /// Inherited dispositions.
    pub signals: ProcessSignals,
    /// Inherited from the parent, or what mcexec was started with.
    pub proxy_signals: ProxySignals,
    /// Becomes [`super::Process::signal_account`].
    pub signal_account: SignalAccount,
    /// Becomes [`super::Process::limits`].
    pub limits: Limits,
    /// Becomes [`super::Process::barriers`].
    pub barriers: BarrierKinds,
    /// Becomes [`super::Process::accounting`].
    pub accounting: Accounting,
    /// Becomes [`super::Process::beginning`].
    pub beginning: Beginning,
    /// The parent that waits for a child of vfork to give up the address space.
    pub release: Option<Arc<Release>>,
}

/// The initial state of the main thread.
pub struct Beginning {
    blocked: SignalSet,
    scheduling: Scheduling,
    forked: SpinLock<Option<Box<InitialState>>>,
}

impl Beginning {
    /// The beginning of a program whose main thread blocks `blocked` at first, and is scheduled as
    /// `scheduling` says.
    pub fn of_program(blocked: SignalSet, scheduling: Scheduling) -> Self {
        Self {
            blocked,
            scheduling,
            forked: SpinLock::new(None),
        }
    }

    /// The beginning of a child of fork.
    pub fn of_child(state: Box<InitialState>) -> Self {
        Self {
            blocked: SignalSet::EMPTY,
            scheduling: Scheduling::default(),
            forked: SpinLock::new(Some(state)),
        }
    }

    /// Returns the signals that the main thread of a program blocks at first.
    pub const fn blocked(&self) -> SignalSet {
        self.blocked
    }

    /// Returns how the main thread of a program is scheduled at first.
    pub const fn scheduling(&self) -> Scheduling {
        self.scheduling
    }

    /// Takes the state in which the main thread of a child of fork begins. It is there once, and never of
    /// a program.
    pub fn take_forked(&self) -> Option<Box<InitialState>> {
        self.forked.lock().take()
    }
}

/// The state in which the main thread of a forked child begins.
pub struct InitialState {
    /// Its integer registers.
    pub frame: UserFrame,
    /// Its other registers.
    pub registers: Registers,
    /// Mask and signal stack.
    pub signals: ThreadSignals,
    /// Zeroed and woken as a futex when it ends; 0 = none.
    pub clear_child_tid: u64,
    /// Its affinity and memory policy.
    pub placement: Placement,
}

/// A parent waits until its child of vfork has given up their address space.
pub struct Release {
    /// It has. Writer: whoever frees the child's memory.
    done: AtomicBool,
    /// The thread that waits.
    parent: Arc<Thread>,
}

impl Release {
    /// The wait of `parent`.
    pub const fn new(parent: Arc<Thread>) -> Self {
        Self {
            done: AtomicBool::new(false),
            parent,
        }
    }

    /// Returns whether the child has given up the address space.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Notes that the child has given up the address space. Returns who is to be woken.
    pub fn finish(&self) -> &Arc<Thread> {
        self.done.store(true, Ordering::Release);
        &self.parent
    }
}

/// The kinds of membarrier(2) that a process has registered for, by their bits. Writers: its threads; no
/// kind is ever taken back.
pub struct BarrierKinds(AtomicU64);

impl BarrierKinds {
    /// The given kinds.
    pub const fn new(kinds: u64) -> Self {
        Self(AtomicU64::new(kinds))
    }

    /// Adds `kind`.
    pub fn register(&self, kind: u64) {
        self.0.fetch_or(kind, Ordering::Relaxed);
    }

    /// Returns all kinds.
    pub fn registered(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
