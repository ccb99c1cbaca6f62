// SPDX-License-Identifier: GPL-2.0
//! The main thread of a process: where it begins, of a new program or of a child of fork.

use alloc::sync::Arc;

use cokernel_logic::vma::Kind;

use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::errno::Errno;
use crate::task::exec_carry::Placement;
use crate::task::process::{InitialState, Process};
use crate::task::signal::ThreadSignals;
use crate::task::thread::{NewThread, Registers, Thread};
use crate::task::thread_data::ThreadData;
use crate::task::{current, sched};

impl Process {
    /// Makes the main thread and lets it run: where its parent forked, or at `entry` with stack
    /// pointer `stack`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it was started before or the addresses are not the program's, `ENOMEM`.
    pub fn start(self: &Arc<Self>, entry: u64, stack: u64) -> Result<(), Errno> {
        if let Some(initial_state) = self.beginning.take_forked() {
            return self.run_main(*initial_state);
        }
        let window = self.space.window;
        if !window.contains(entry) || !window.contains(stack) {
            return Err(Errno::EINVAL);
        }
        populate::fill_gaps(&self.space, Kind::Segment, &current::asker(&self.space));
        self.run_main(InitialState {
            frame: UserFrame::new(entry, stack),
            registers: Registers::initial(0),
            signals: ThreadSignals::new(self.beginning.blocked()),
            clear_child_tid: 0,
            placement: Placement {
                scheduling: self.beginning.scheduling(),
                ..self.accounting.placement()
            },
        })
    }

    fn run_main(self: &Arc<Self>, initial_state: InitialState) -> Result<(), Errno> {
        let affinity = initial_state.placement.affinity;
        let cpu = match affinity.first() {
            Some(first) if !affinity.contains(self.cpu) => first,
            _ => self.cpu,
        };
        let thread = self
            .lifetime
            .enter_first(|| self.make_main(initial_state, cpu))?;
        sched::wake(&thread);
        Ok(())
    }

    fn make_main(
        self: &Arc<Self>,
        initial_state: InitialState,
        cpu: u32,
    ) -> Result<Arc<Thread>, Errno> {
        let data = ThreadData::new(
            self.pid,
            initial_state.signals,
            initial_state.clear_child_tid,
            initial_state.placement,
        );
        let new = NewThread {
            process: self.clone(),
            space: self.space.hardware.clone(),
            slot: 0,
            cpu,
            entry: initial_state.frame,
            registers: initial_state.registers,
            data,
        };
        let thread = sched::new_thread(new).ok_or(Errno::ENOMEM)?;
        // A signal may have come before there was anybody to take it.
        thread.request_return_work();
        Ok(thread)
    }
}
