// SPDX-License-Identifier: GPL-2.0
//! The parts that a process is made of, and the initial state of its main thread.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::AtomicBool;

use cokernel_logic::affinity::Affinity;
use cokernel_logic::policy::Policy;
use cokernel_logic::signals::SignalSet;
use ihk_ikc::process::RLIMITS;
use x86_64::PhysAddr;

use crate::arch::UserFrame;
use crate::task::accounting::Accounting;
use crate::task::signal::{ProcessSignals, ThreadSignals};
use crate::task::slots::Slots;
use crate::task::thread::{Registers, Thread};

/// The parts that [`super::Process::new`] puts together.
pub struct Parts {
    /// Its delegation slots.
    pub slots: Slots,
    /// Becomes [`super::Process::revoke_array`].
    pub revoke_array: PhysAddr,
    /// Inherited dispositions.
    pub signals: ProcessSignals,
    /// Becomes [`super::Process::awaited`].
    pub awaited: u64,
    /// Signals the main thread blocks at first.
    pub blocked: SignalSet,
    /// Becomes [`super::Process::read_as_files`].
    pub read_as_files: u64,
    /// Becomes [`super::Process::proxy_mask`].
    pub proxy_mask: u64,
    /// Becomes [`super::Process::main_proxy_mask`].
    pub main_proxy_mask: u64,
    /// Becomes [`super::Process::barriers`].
    pub barriers: u64,
    /// Limits.
    pub limits: [[u64; 2]; RLIMITS],
    /// Becomes [`super::Process::accounting`].
    pub accounting: Accounting,
    /// The state in which the main thread of a child of fork begins.
    pub initial_state: Option<Box<InitialState>>,
    /// The parent that waits for a child of vfork to give up the address space.
    pub release: Option<Arc<Release>>,
}

/// The state in which the main thread of a forked child begins.
pub struct InitialState {
    /// Its integer registers.
    pub frame: UserFrame,
    /// Its other registers.
    pub registers: Registers,
    /// Mask and signal stack.
    pub signals: ThreadSignals,
    /// Becomes [`crate::task::thread::ThreadData::clear_child_tid`].
    pub clear_child_tid: u64,
    /// The CPUs it may run on.
    pub affinity: Affinity,
    /// Its memory policy.
    pub policy: Policy,
}

/// A parent waits until its child of vfork has given up their address space.
pub struct Release {
    /// It has.
    pub done: AtomicBool,
    /// The thread that waits.
    pub parent: Arc<Thread>,
}
