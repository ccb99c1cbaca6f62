// SPDX-License-Identifier: GPL-2.0
//! A thread: kernel stack, saved context, state. What it means as part of a process is
//! [`ThreadData`].

use alloc::sync::Arc;

use cokernel_logic::run_state::RunState;
pub use cokernel_logic::run_state::State;
use cokernel_logic::sched_entity::{Entity, Schedulable};

use crate::arch::context::{self, Context};
use crate::arch::fpu::FpuState;
use crate::arch::{self, UserFrame};
use crate::aspace::shootdown::Space;
use crate::cell::OwnedCell;
use crate::task::process::Process;
use crate::task::stack::KernelStack;
use crate::task::thread_data::ThreadData;

/// The registers of a thread that does not run. Touched by the CPU that runs it, or switches to or from
/// it, only.
pub struct Saved {
    /// Callee-saved registers and stack pointer.
    pub context: Context,
    /// FPU, vector and protection-key registers.
    pub fpu: FpuState,
    /// User space's FS base.
    pub fs_base: u64,
    /// User space's GS base.
    pub gs_base: u64,
}

/// A thread of a program, or a CPU's idle thread.
pub struct Thread {
    stack: KernelStack,
    saved: OwnedCell<Saved>,
    /// Its state, and whether a signal, a kill or a freeze waits for its way back to user mode.
    pub(super) run: RunState,
    space: Option<Arc<Space>>,
    /// The process; `None` for idle threads.
    pub process: Option<Arc<Process>>,
    /// Index of its delegation slot.
    pub slot: u32,
    /// The data that the process side keeps of each thread.
    pub data: ThreadData,
}

/// The registers that a stack switch saves outside of the stack.
pub struct Registers {
    /// FPU, vector and protection-key registers.
    pub fpu: FpuState,
    /// FS base (thread-local storage).
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
}

impl Registers {
    /// Those of a fresh program, but for the FS base.
    pub fn initial(fs_base: u64) -> Self {
        Self {
            fpu: FpuState::initial(),
            fs_base,
            gs_base: 0,
        }
    }

    /// FS and GS base of the current thread.
    pub fn bases_of_current() -> [u64; 2] {
        [context::fs_base(), context::gs_base()]
    }

    /// A copy of the current thread's.
    pub fn of_current() -> Self {
        Self {
            fpu: FpuState::of_current(),
            fs_base: context::fs_base(),
            gs_base: context::gs_base(),
        }
    }
}

/// The arguments for making a program's thread.
pub struct NewThread {
    /// Its process.
    pub process: Arc<Process>,
    /// The address space it runs in.
    pub space: Arc<Space>,
    /// Index of its delegation slot.
    pub slot: u32,
    /// The CPU on which it begins.
    pub cpu: u32,
    /// The integer registers with which it begins.
    pub entry: UserFrame,
    /// Its registers beyond the integer ones.
    pub registers: Registers,
    /// The process side's data.
    pub data: ThreadData,
}

impl Schedulable for Thread {
    #[inline]
    fn entity(&self) -> &Entity {
        &self.data.entity
    }
}

impl Thread {
    /// A thread of a program that runs nowhere yet, and calls `first` before it goes to user mode; `None`
    /// without memory for its stack.
    pub(super) fn new_user(new: NewThread, first: extern "C" fn()) -> Option<Arc<Self>> {
        assert!(new.cpu < arch::cpu_count(), "no CPU {}", new.cpu);
        let stack = KernelStack::new()?;
        // SAFETY: the stack is mapped, and was made for this thread.
        let context = unsafe { Context::for_user(stack.top(), &new.entry, first) };
        let run = RunState::new();
        run.set_cpu(new.cpu);
        let saved = Saved {
            context,
            fpu: new.registers.fpu,
            fs_base: new.registers.fs_base,
            gs_base: new.registers.gs_base,
        };
        Some(Arc::new(Self {
            stack,
            saved: OwnedCell::new(saved),
            run,
            space: Some(new.space),
            process: Some(new.process),
            slot: new.slot,
            data: new.data,
        }))
    }

    /// The thread a CPU runs when there is nothing to run.
    pub(super) fn new_idle(cpu: u32) -> Option<Arc<Self>> {
        let saved = Saved {
            context: Context::empty(),
            fpu: FpuState::none(),
            fs_base: 0,
            gs_base: 0,
        };
        Some(Arc::new(Self {
            stack: KernelStack::new()?,
            saved: OwnedCell::new(saved),
            run: RunState::running_on(cpu),
            space: None,
            process: None,
            slot: 0,
            data: ThreadData::default(),
        }))
    }

    /// The CPU it runs on, or ran on last.
    pub fn cpu(&self) -> u32 {
        self.run.cpu()
    }

    /// Whether it is a CPU's idle thread.
    pub fn is_idle(&self) -> bool {
        self.process.is_none()
    }

    /// The address space it runs in.
    pub fn space(&self) -> Option<&Arc<Space>> {
        self.space.as_ref()
    }

    /// Asks it to look for work before it goes back to user mode. The caller then wakes it, or
    /// kicks its CPU ([`super::sched::kick`]).
    pub fn request_return_work(&self) {
        self.run.request_return_work();
    }

    /// Whether work waits.
    #[inline]
    pub fn needs_return_work(&self) -> bool {
        self.run.needs_return_work()
    }

    /// Takes the request; the caller then looks for all work there is.
    pub fn take_return_work(&self) -> bool {
        self.run.take_return_work()
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.run.get()
    }

    /// Its kernel stack.
    pub fn stack(&self) -> &KernelStack {
        &self.stack
    }

    /// Its saved registers.
    ///
    /// # Safety
    ///
    /// The caller is the CPU that runs the thread, or switches to or from it; and no other reference from
    /// here is alive.
    #[expect(clippy::mut_from_ref, reason = "exclusivity is the caller's promise")]
    pub unsafe fn saved(&self) -> &mut Saved {
        // SAFETY: by this function's contract.
        unsafe { self.saved.get_mut() }
    }
}
