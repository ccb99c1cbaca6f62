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
use cokernel_logic::vma::{AreaMap, Kind, Range};
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::RLIMITS;
use x86_64::PhysAddr;

use crate::arch::time::ticks_to_ns;
use crate::arch::UserFrame;
use crate::aspace::space::AddressSpace;
use crate::aspace::{populate, shootdown};
use crate::delegate::pool::{self, Pool};
use crate::delegate::Slots;
use crate::errno::Errno;
use crate::frames::allocator;
use crate::frames::extents::RunList;
use crate::ikc;
use crate::mm::revoke;
use crate::sync::SpinLock;
use crate::task::affinity::Affinity;
use crate::task::clock::CpuClock;
use crate::task::cpu_timer::CpuTimers;
use crate::task::ledger::{self, Ledger, Placement};
use crate::task::post_mortem::PostMortem;
use crate::task::rlimit_numbers::CPU;
use crate::task::sched;
use crate::task::signal::{ProcessSignals, ThreadSignals};
use crate::task::thread::{NewThread, Registers, Thread};

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
    /// Carries lists of frames to Linux, see [`revoke`].
    pub revoke_array: PhysAddr,
    /// Actions and pending signals.
    pub signals: ProcessSignals,
    /// Signals it once waited for without a handler, bit n − 1 = signal n: Linux sends them here.
    pub awaited: AtomicU64,
    /// Soft and hard limits by Linux's `RLIMIT_*` number.
    pub limits: SpinLock<[[u64; 2]; RLIMITS]>,
    /// Limits that other processes have set and the proxy does not know, bit n = limit n.
    pub untold_limits: AtomicU64,
    blocked_at_start: SignalSet,
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
    newborn: SpinLock<Option<Box<Newborn>>>,
    /// The parent of a child of vfork waits for this.
    release: Option<Arc<Release>>,
    threads: SpinLock<Vec<Arc<Thread>>>,
    /// What its threads leave behind for a core.
    pub post_mortem: PostMortem,
    /// CPU time beyond that of its threads.
    pub ledger: Ledger,
    /// CPU time of threads that have ended, ticks.
    ended_ticks: AtomicU64,
    /// Threads that have not called exit.
    staying: AtomicUsize,
    dying: AtomicBool,
    frozen: AtomicBool,
    /// The proxy has gone: the last thread frees everything.
    abandoned: AtomicBool,
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
    /// Where it may run. Nothing is locked under it.
    pub affinity: SpinLock<Affinity>,
    /// Where its pages come from. Nothing is locked under it.
    pub policy: SpinLock<Policy>,
    /// Its worker is not what new threads would inherit, see [`pool::mark_current`].
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

    /// Makes the main thread and lets it run: where its parent forked, or at `entry` with stack
    /// pointer `stack`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it was started before or the addresses are not the program's, `ENOMEM`.
    pub fn start(self: &Arc<Self>, entry: u64, stack: u64) -> Result<(), Errno> {
        let newborn = self.newborn.lock().take();
        if let Some(newborn) = newborn {
            return self.run_main(*newborn);
        }
        let window = self.space.window;
        if !window.contains(entry) || !window.contains(stack) {
            return Err(Errno::EINVAL);
        }
        populate::fill_gaps(&self.space, Kind::Segment);
        let Placement { affinity, policy } = self.ledger.placement();
        self.run_main(Newborn {
            frame: UserFrame::new(entry, stack),
            registers: Registers::initial(0),
            signals: ThreadSignals::new(self.blocked_at_start),
            clear_child_tid: 0,
            affinity,
            policy,
        })
    }

    fn run_main(self: &Arc<Self>, newborn: Newborn) -> Result<(), Errno> {
        let mut threads = self.threads.lock();
        if !threads.is_empty() || self.is_dying() {
            return Err(Errno::EINVAL);
        }
        let cpu = match newborn.affinity.first() {
            Some(first) if !newborn.affinity.contains(self.cpu) => first,
            _ => self.cpu,
        };
        let data = ThreadData {
            tid: self.pid,
            signals: newborn.signals,
            clear_child_tid: AtomicU64::new(newborn.clear_child_tid),
            affinity: SpinLock::new(newborn.affinity),
            policy: SpinLock::new(newborn.policy),
            ..ThreadData::default()
        };
        let new = NewThread {
            process: self.clone(),
            space: self.space.hardware.clone(),
            slot: 0,
            registers: newborn.registers,
            data,
        };
        let thread = Thread::new_user(new).ok_or(Errno::ENOMEM)?;
        // A signal may have come before there was anybody to take it.
        thread.request_return_work();
        self.enter_thread(&mut threads, &thread);
        drop(threads);
        sched::spawn_user(thread, cpu, &newborn.frame);
        Ok(())
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

    fn enter_thread(&self, threads: &mut Vec<Arc<Thread>>, thread: &Arc<Thread>) {
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

    /// Whether its threads are to stay off their CPUs.
    pub fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// All its threads end at their next way back to user mode. Any context.
    pub fn kill(&self) {
        self.dying.store(true, Ordering::SeqCst);
        self.kick();
    }

    /// As [`Self::kill`], after `farewell`, but only for the first who wants the process to end: only
    /// one way of ending can be told.
    pub fn end(&self, farewell: impl FnOnce()) {
        if !self.dying.swap(true, Ordering::SeqCst) {
            ledger::settle(self);
            farewell();
            self.kick();
        }
    }

    /// As [`Self::end`], but `farewell` comes after all threads were told and `meanwhile` was done.
    pub fn end_after(&self, meanwhile: impl FnOnce(), farewell: impl FnOnce()) {
        if !self.dying.swap(true, Ordering::SeqCst) {
            ledger::settle(self);
            self.kick();
            meanwhile();
            farewell();
        }
    }

    /// Takes its threads off their CPUs, or lets them on again.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
        self.kick();
    }

    /// Linux has no mapping of its memory any more: frees everything, at the latest when its last
    /// thread has ended.
    pub fn abandon(self: &Arc<Self>) {
        self.kill();
        ledger::settle(self);
        let threads = self.threads.lock();
        let first = !self.abandoned.swap(true, Ordering::SeqCst);
        let empty = threads.is_empty();
        drop(threads);
        if first && empty {
            self.free_memory();
        }
    }

    /// Takes the current thread out; it calls the scheduler's exit next. Must run on the kernel's
    /// own page tables.
    pub fn remove_current(self: &Arc<Self>, thread: &Arc<Thread>) {
        let mut threads = self.threads.lock();
        threads.retain(|other| !Arc::ptr_eq(other, thread));
        self.ended_ticks
            .fetch_add(thread.data.clock.ticks(), Ordering::Relaxed);
        let last = threads.is_empty() && self.abandoned.load(Ordering::SeqCst);
        drop(threads);
        if !last && !self.is_dying() {
            pool::dismiss(self, thread);
        }
        let usage = &ikc::control().usage;
        usage.threads.fetch_sub(1, Ordering::Relaxed);
        usage.slots.fetch_sub(1, Ordering::Relaxed);
        if last {
            self.free_memory();
        }
    }

    /// Frees its slots and, if no other process uses the address space, all pages. The tables follow
    /// when the last reference to the address space is dropped.
    fn free_memory(&self) {
        let mut limbo = RunList::new();
        let mut slots = RunList::new();
        self.slots
            .frames()
            .for_each(|frame| slots.push_frame(frame));
        revoke::free_unexposed(&slots, &mut limbo);
        if self.space.remove_user() {
            shootdown::retire(&self.space.hardware);
            self.free_pages(&mut limbo);
        }
        if let Some(release) = &self.release {
            release.complete();
        }
        revoke::release_process(self, limbo);
    }

    fn free_pages(&self, limbo: &mut RunList) {
        // Linux may still be asking for pages: no area takes any from now on.
        let replace = |areas: &mut AreaMap| core::mem::replace(areas, AreaMap::new());
        drop(self.space.with(|inner| replace(&mut inner.areas)));
        let window = self.space.window;
        let mut at = window.start;
        while at < window.end {
            let rest = Range {
                start: at,
                end: window.end,
            };
            // The edges of the window cut no page, so this cannot fail.
            let taken = self.space.with(|inner| inner.take_pages(rest));
            let Ok(taken) = taken else {
                return;
            };
            revoke::free_unexposed(&taken.frames, limbo);
            ikc::beat();
            at = taken.end;
        }
    }

    /// Makes every thread look at its flags soon.
    fn kick(&self) {
        for thread in self.threads() {
            thread.request_return_work();
            sched::wake(&thread);
            sched::kick(&thread);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        allocator::free_small(self.revoke_array);
    }
}
