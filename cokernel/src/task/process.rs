// SPDX-License-Identifier: GPL-2.0
//! A process and all that it owns. The table of processes is [`table`]; [`parts`] lists the parts of one;
//! its threads and its end are in [`lifetime`].
//!
//! Lock order: the table, then the threads of a process. Signals and address space have locks of their own,
//! taken after these.

mod lifetime;
mod parts;
mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;

use ihk_ikc::packet::ProcessHandle;

use crate::arch::time::ticks_to_ns;
use crate::aspace::space::AddressSpace;
use crate::frames::owned::OwnedRun;
use crate::task::accounting::Accounting;
use crate::task::core_registers::CoreRegisters;
use crate::task::cpu_timer::CpuTimers;
use crate::task::rlimits::{Limits, CPU};
use crate::task::signal::account::SignalAccount;
use crate::task::signal::proxy::ProxySignals;
use crate::task::signal::ProcessSignals;
use crate::task::slots::Slots;
use crate::task::thread::Thread;
use crate::task::worker_pool::Pool;

pub use lifetime::Lifetime;
pub use parts::{BarrierKinds, Beginning, InitialState, Parts, Release};
pub use table::{all, biggest, enter, find, find_by_pid, find_thread, for_each_thread, forget};

/// A process.
pub struct Process {
    /// Its number in messages.
    pub handle: ProcessHandle,
    /// Its id, that of its proxy on Linux.
    pub pid: i32,
    /// The CPU it starts on.
    pub cpu: u32,
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// Its delegation slots.
    pub slots: Slots,
    /// The taken ones.
    pub pool: Pool,
    /// Carries lists of frames to Linux that it is to let go of.
    pub revoke_array: OwnedRun,
    /// Actions and pending signals.
    pub signals: ProcessSignals,
    /// The proxy's treatment of signals.
    pub proxy_signals: ProxySignals,
    /// What its pending signals are counted in.
    pub signal_account: SignalAccount,
    /// Resource limits.
    pub limits: Limits,
    /// Timers of CPU time.
    pub cpu_timers: CpuTimers,
    /// The kinds of membarrier(2) that it has registered for.
    pub barriers: BarrierKinds,
    /// The initial state of its main thread.
    pub beginning: Beginning,
    /// The parent of a child of vfork waits for this.
    pub release: Option<Arc<Release>>,
    /// Its threads, and how far it is on its way to the end.
    pub lifetime: Lifetime,
    /// The registers that its threads leave for a core dump.
    pub core_registers: CoreRegisters,
    /// CPU time beyond that of its threads.
    pub accounting: Accounting,
}

impl Process {
    /// A process without threads. Only [`enter`] keeps it.
    pub fn new(
        handle: ProcessHandle,
        pid: i32,
        cpu: u32,
        space: Arc<AddressSpace>,
        parts: Parts,
    ) -> Self {
        Self {
            handle,
            pid,
            cpu,
            space,
            slots: parts.slots,
            pool: Pool::new(),
            revoke_array: parts.revoke_array,
            signals: parts.signals,
            proxy_signals: parts.proxy_signals,
            signal_account: parts.signal_account,
            cpu_timers: CpuTimers::limited(parts.limits.get(CPU)),
            limits: parts.limits,
            barriers: parts.barriers,
            beginning: parts.beginning,
            release: parts.release,
            lifetime: Lifetime::new(),
            core_registers: CoreRegisters::default(),
            accounting: parts.accounting,
        }
    }

    /// Its threads at this moment.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.lifetime.threads()
    }

    /// CPU time of all threads it has or had, also as other programs, ticks.
    pub fn cpu_ticks(&self) -> u64 {
        self.lifetime.ticks() + self.accounting.before()
    }

    /// CPU time of all threads it has or had, also as other programs, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        ticks_to_ns(self.cpu_ticks())
    }

    /// Whether its threads are to end.
    #[inline]
    pub fn is_dying(&self) -> bool {
        self.lifetime.is_dying()
    }
}
