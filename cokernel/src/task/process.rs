// SPDX-License-Identifier: GPL-2.0
//! What a process owns. The table of processes is [`table`], what one is made of [`parts`].
//!
//! Lock order: the table, then a process's `threads`. Signals and address space have locks of their own,
//! taken after these.

mod parts;
mod table;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use cokernel_logic::policy::Policy;
use cokernel_logic::signals::SignalSet;
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::RLIMITS;
use x86_64::PhysAddr;

use crate::arch::time::ticks_to_ns;
use crate::aspace::space::AddressSpace;
use crate::delegate::pool::Pool;
use crate::delegate::Slots;
use crate::errno::Errno;
use crate::frames::allocator;
use crate::ikc;
use crate::sync::SpinLock;
use crate::task::affinity::Affinity;
use crate::task::clock::CpuClock;
use crate::task::core_registers::PostMortem;
use crate::task::cpu_timer::CpuTimers;
use crate::task::ledger::Ledger;
use crate::task::rlimit_numbers::CPU;
use crate::task::sched;
use crate::task::signal::{ProcessSignals, ThreadSignals};
use crate::task::thread::Thread;

pub use parts::{Newborn, Parts, Release};
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
    /// Which of them are taken.
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
    /// What the main thread of a new program blocks.
    pub blocked_at_start: SignalSet,
    /// Timers of CPU time.
    pub cpu_timers: CpuTimers,
    /// The kinds of membarrier(2) that it has registered for, by their bits.
    pub barriers: AtomicU64,
    /// Signals that one of its signalfds reads: Linux keeps them while all threads block them.
    pub read_as_files: AtomicU64,
    /// What Linux keeps pending for it; see [`super::proxy_mask`].
    pub proxy_mask: AtomicU64,
    /// What Linux keeps pending for the main thread.
    pub main_proxy_mask: AtomicU64,
    /// Where the main thread begins, of a child of fork that has not begun.
    pub newborn: SpinLock<Option<Box<Newborn>>>,
    /// The parent of a child of vfork waits for this.
    pub release: Option<Arc<Release>>,
    /// Those that have begun and not ended.
    pub threads: SpinLock<Vec<Arc<Thread>>>,
    /// What its threads leave behind for a core.
    pub post_mortem: PostMortem,
    /// CPU time beyond that of its threads.
    pub ledger: Ledger,
    /// CPU time of threads that have ended, ticks.
    pub ended_ticks: AtomicU64,
    /// Threads that have not called exit.
    staying: AtomicUsize,
    dying: AtomicBool,
    frozen: AtomicBool,
    /// The proxy has gone: the last thread frees everything.
    pub abandoned: AtomicBool,
}

/// No thread's mask: some signals cannot be blocked.
pub const NO_MASK: u64 = u64::MAX;
/// No CPU of Linux, nor none.
const NO_SERVER: u32 = u32::MAX;

/// What a thread has beyond its registers.
pub struct ThreadData {
    /// Its thread id, that of its worker on Linux.
    pub tid: i32,
    /// Mask, pending signals, signal stack.
    pub signals: ThreadSignals,
    /// The mask that its slot shows; none can be [`NO_MASK`].
    pub shown_mask: AtomicU64,
    /// The CPU of Linux that its slot shows; [`NO_SERVER`] until then.
    pub shown_server: AtomicU32,
    /// A page whose data do not travel through the bounce page; a hint.
    pub usual_page: AtomicU64,
    /// Zeroed and woken as a futex when the thread ends; 0 = none.
    pub clear_child_tid: AtomicU64,
    /// Head of the robust futex list; 0 = none.
    pub robust_list: AtomicU64,
    /// Linux has been told of the list, for when the worker is killed.
    pub robust_list_told: AtomicBool,
    /// Linux is to be told before user mode goes on.
    pub robust_list_to_tell: AtomicBool,
    /// Where it may run. Nothing is locked under it.
    pub affinity: SpinLock<Affinity>,
    /// Where its pages come from. Nothing is locked under it.
    pub policy: SpinLock<Policy>,
    /// Its worker is not what new threads would inherit.
    pub worker_marked: AtomicBool,
    /// How long it has run.
    pub clock: CpuClock,
}

impl Default for ThreadData {
    fn default() -> Self {
        Self {
            tid: 0,
            signals: ThreadSignals::default(),
            shown_mask: AtomicU64::new(NO_MASK),
            shown_server: AtomicU32::new(NO_SERVER),
            usual_page: AtomicU64::new(0),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            robust_list_told: AtomicBool::new(false),
            robust_list_to_tell: AtomicBool::new(false),
            affinity: SpinLock::new(Affinity::ALL),
            policy: SpinLock::new(Policy::default()),
            worker_marked: AtomicBool::new(false),
            clock: CpuClock::default(),
        }
    }
}

/// The process of the current thread.
///
/// # Panics
///
/// In a thread of the kernel itself; system calls have none.
pub fn current() -> &'static Arc<Process> {
    try_current().expect("a system call comes from a process")
}

/// The process of the current thread, if it has one. It lives as long as the thread.
pub fn try_current() -> Option<&'static Arc<Process>> {
    sched::try_current()?.process.as_ref()
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
            newborn: SpinLock::new(parts.newborn),
            release: parts.release,
            threads: SpinLock::new(Vec::new()),
            post_mortem: PostMortem::default(),
            ledger: parts.ledger,
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
        running + self.ended_ticks.load(Ordering::Relaxed) + self.ledger.before()
    }

    /// The same in nanoseconds.
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
