// SPDX-License-Identifier: GPL-2.0
//! The main thread of a process: where it begins, of a new program or of a child of fork.

use alloc::sync::Arc;
use core::sync::atomic::AtomicU64;

use cokernel_logic::vma::Kind;

use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::errno::Errno;
use crate::sync::SpinLock;
use crate::task::exec_carry::Placement;
use crate::task::process::{InitialState, Process};
use crate::task::signal::ThreadSignals;
use crate::task::thread::{NewThread, Registers, Thread, ThreadData};
use crate::task::{current, sched};

impl Process {
    /// Makes the main thread and lets it run: where its parent forked, or at `entry` with stack
    /// pointer `stack`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it was started before or the addresses are not the program's, `ENOMEM`.
    pub fn start(self: &Arc<Self>, entry: u64, stack: u64) -> Result<(), Errno> {
        let initial_state = self.initial_state.lock().take();
        if let Some(initial_state) = initial_state {
            return self.run_main(*initial_state);
        }
        let window = self.space.window;
        if !window.contains(entry) || !window.contains(stack) {
            return Err(Errno::EINVAL);
        }
        populate::fill_gaps(&self.space, Kind::Segment, &current::asker(&self.space));
        let Placement { affinity, policy } = self.accounting.placement();
        self.run_main(InitialState {
            frame: UserFrame::new(entry, stack),
            registers: Registers::initial(0),
            signals: ThreadSignals::new(self.blocked_at_start),
            clear_child_tid: 0,
            affinity,
            policy,
        })
    }

    fn run_main(self: &Arc<Self>, initial_state: InitialState) -> Result<(), Errno> {
        let mut threads = self.threads.lock();
        if !threads.is_empty() || self.is_dying() {
            return Err(Errno::EINVAL);
        }
        let cpu = match initial_state.affinity.first() {
            Some(first) if !initial_state.affinity.contains(self.cpu) => first,
            _ => self.cpu,
        };
        let data = ThreadData {
            tid: self.pid,
            signals: initial_state.signals,
            clear_child_tid: AtomicU64::new(initial_state.clear_child_tid),
            affinity: SpinLock::new(initial_state.affinity),
            policy: SpinLock::new(initial_state.policy),
            ..ThreadData::default()
        };
        let new = NewThread {
            process: self.clone(),
            space: self.space.hardware.clone(),
            slot: 0,
            registers: initial_state.registers,
            data,
        };
        let thread = Thread::new_user(new).ok_or(Errno::ENOMEM)?;
        // A signal may have come before there was anybody to take it.
        thread.request_return_work();
        self.enter_thread(&mut threads, &thread);
        drop(threads);
        sched::spawn_user(thread, cpu, &initial_state.frame);
        Ok(())
    }
}
