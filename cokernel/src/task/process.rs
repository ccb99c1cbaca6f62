// SPDX-License-Identifier: GPL-2.0
//! A process and all that it owns. The table of processes is [`table`]; [`parts`] lists the parts of one.
//!
//! Lock order: the table, then a process's `threads`. Signals and address space have locks of their own,
//! taken after these.

mod parts;
mod table;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use cokernel_logic::signals::SignalSet;
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::RLIMITS;
use x86_64::PhysAddr;

use crate::arch::time::ticks_to_ns;
use crate::aspace::space::AddressSpace;
use crate::errno::Errno;
use crate::frames::allocator;
use crate::ikc;
use crate::sync::SpinLock;
use crate::task::accounting::Accounting;
use crate::task::core_registers::CoreRegisters;
use crate::task::cpu_timer::CpuTimers;
use crate::task::rlimit_numbers::CPU;
use crate::task::signal::ProcessSignals;
use crate::task::slots::Slots;
use crate::task::thread::Thread;
use crate::task::worker_pool::Pool;

pub use parts::{InitialState, Parts, Release};
pub use table::{any, biggest, enter, find, find_by_pid, find_thread, forget};

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
    pub revoke_array: PhysAddr,
    /// Actions and pending signals.
    pub signals: ProcessSignals,
    /// Signals it once waited for without a handler, bit n − 1 = signal n: Linux sends them here.
    pub awaited: AtomicU64,
    /// Soft and hard limits by Linux's `RLIMIT_*` number.
    pub limits: SpinLock<[[u64; 2]; RLIMITS]>,
    /// Limits that other processes have set and the proxy does not know, bit n = limit n.
    pub untold_limits: AtomicU64,
    /// The signals that the main thread of a new program blocks.
    pub blocked_at_start: SignalSet,
    /// Timers of CPU time.
    pub cpu_timers: CpuTimers,
    /// The kinds of membarrier(2) that it has registered for, by their bits.
    pub barriers: AtomicU64,
    /// Signals that one of its signalfds reads: Linux keeps them while all threads block them.
    pub read_as_files: AtomicU64,
    /// The signals that Linux keeps pending for it; see [`crate::process::signal::proxy_mask`].
    pub proxy_mask: AtomicU64,
    /// The signals that Linux keeps pending for the main thread.
    pub main_proxy_mask: AtomicU64,
    /// The initial state of the main thread, in a child of fork that has not begun.
    pub initial_state: SpinLock<Option<Box<InitialState>>>,
    /// The parent of a child of vfork waits for this.
    pub release: Option<Arc<Release>>,
    /// Those that have begun and not ended.
    pub threads: SpinLock<Vec<Arc<Thread>>>,
    /// The registers that its threads leave for a core dump.
    pub core_registers: CoreRegisters,
    /// CPU time beyond that of its threads.
    pub accounting: Accounting,
    /// CPU time of threads that have ended, ticks.
    pub ended_ticks: AtomicU64,
    /// Threads that have not called exit.
    staying: AtomicUsize,
    dying: AtomicBool,
    frozen: AtomicBool,
    /// The proxy has gone: the last thread frees everything.
    pub abandoned: AtomicBool,
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
            awaited: AtomicU64::new(parts.awaited),
            limits: SpinLock::new(parts.limits),
            untold_limits: AtomicU64::new(0),
            blocked_at_start: parts.blocked,
            cpu_timers: CpuTimers::limited(parts.limits[CPU]),
            barriers: AtomicU64::new(parts.barriers),
            read_as_files: AtomicU64::new(parts.read_as_files),
            proxy_mask: AtomicU64::new(parts.proxy_mask),
            main_proxy_mask: AtomicU64::new(parts.main_proxy_mask),
            initial_state: SpinLock::new(parts.initial_state),
            release: parts.release,
            threads: SpinLock::new(Vec::new()),
            core_registers: CoreRegisters::default(),
            accounting: parts.accounting,
            ended_ticks: AtomicU64::new(0),
            staying: AtomicUsize::new(0),
            dying: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    /// Takes a further thread in; it does not run yet.
    ///
    /// # Errors
    ///
    /// `EINTR`: the process is being killed.
    pub fn adopt(&self, thread: &Arc<Thread>) -> Result<(), Errno> {
        let mut threads = self.threads.lock();
        if self.is_dying() {
            return Err(Errno::EINTR);
        }
        self.enter_thread(&mut threads, thread);
        Ok(())
    }

    /// Enters `thread` among its `threads`.
    pub fn enter_thread(&self, threads: &mut Vec<Arc<Thread>>, thread: &Arc<Thread>) {
        threads.push(thread.clone());
        self.staying.fetch_add(1, Ordering::AcqRel);
        let usage = &ikc::control().usage;
        usage.threads.fetch_add(1, Ordering::Relaxed);
        usage.slots.fetch_add(1, Ordering::Relaxed);
    }

    /// The current thread called exit. Whether no other thread stays: the process ends with it.
    pub fn leave(&self) -> bool {
        self.staying.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Its threads at this moment.
    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().clone()
    }

    /// CPU time of all threads it has or had, also as other programs, ticks.
    pub fn cpu_ticks(&self) -> u64 {
        let threads = self.threads.lock();
        let running: u64 = threads.iter().map(|thread| thread.data.clock.ticks()).sum();
        running + self.ended_ticks.load(Ordering::Relaxed) + self.accounting.before()
    }

    /// CPU time of all threads it has or had, also as other programs, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        ticks_to_ns(self.cpu_ticks())
    }

    /// The thread with delegation slot `slot`.
    pub fn thread_of_slot(&self, slot: u32) -> Option<Arc<Thread>> {
        self.threads
            .lock()
            .iter()
            .find(|thread| thread.slot == slot)
            .cloned()
    }

    /// Whether its threads are to end.
    pub fn is_dying(&self) -> bool {
        self.dying.load(Ordering::Acquire)
    }

    /// Its threads are to end from now on; whether that is news. They have to be told, too.
    pub fn begin_dying(&self) -> bool {
        !self.dying.swap(true, Ordering::SeqCst)
    }

    /// Its threads are to stay off their CPUs from now on, or no longer. They have to be told, too.
    pub fn note_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Whether its threads are to stay off their CPUs.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        allocator::free_small(self.revoke_array);
    }
}
