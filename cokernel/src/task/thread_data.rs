// SPDX-License-Identifier: GPL-2.0
//! The data of a thread beyond its registers, as part of a process.

use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::affinity::Affinity;
use cokernel_logic::policy::Policy;
use cokernel_logic::sched_entity::{inherited, Entity};

use crate::sync::SpinLock;
use crate::task::clock::CpuClock;
use crate::task::exec_carry::Placement;
use crate::task::robust_list::RobustList;
use crate::task::shown::ShownToWorker;
use crate::task::signal::ThreadSignals;

/// The data of a thread beyond its registers.
#[derive(Default)]
pub struct ThreadData {
    /// Its thread id, that of its worker on Linux.
    pub tid: i32,
    /// Mask, pending signals, signal stack.
    pub signals: ThreadSignals,
    /// Its copy of what its worker has been shown.
    pub shown: ShownToWorker,
    /// Its list of robust futexes.
    pub robust_list: RobustList,
    /// Its CPU time.
    pub clock: CpuClock,
    /// What the scheduler knows of it.
    pub entity: Entity,
    /// Zeroed and woken as a futex when the thread ends; 0 = none. Writer: the thread itself.
    clear_child_tid: AtomicU64,
    /// The CPUs it may run on, and its memory policy. Nothing is locked under it.
    placement: SpinLock<Placement>,
}

impl ThreadData {
    /// The data with which thread `tid` begins; `clear_child_tid` is zeroed and woken as a futex when it ends, if it
    /// is not 0.
    pub fn new(
        tid: i32,
        signals: ThreadSignals,
        clear_child_tid: u64,
        placement: Placement,
    ) -> Self {
        Self {
            tid,
            signals,
            clear_child_tid: AtomicU64::new(clear_child_tid),
            entity: Entity::new(placement.scheduling),
            placement: SpinLock::new(placement),
            ..Self::default()
        }
    }

    /// Returns the address that is zeroed and woken as a futex when the thread ends; 0 = none.
    pub fn clear_child_tid(&self) -> u64 {
        self.clear_child_tid.load(Ordering::Relaxed)
    }

    /// Changes the address that is zeroed and woken as a futex when the thread ends.
    pub fn set_clear_child_tid(&self, address: u64) {
        self.clear_child_tid.store(address, Ordering::Relaxed);
    }

    /// Takes the address that is to be zeroed and woken as a futex.
    pub fn take_clear_child_tid(&self) -> u64 {
        self.clear_child_tid.swap(0, Ordering::Relaxed)
    }

    /// Returns the affinity, the memory policy, and how it is scheduled.
    pub fn placement(&self) -> Placement {
        Placement {
            scheduling: self.entity.scheduling(),
            ..*self.placement.lock()
        }
    }

    /// Returns what a thread or process has of that which this one makes.
    pub fn inherited_placement(&self) -> Placement {
        Placement {
            scheduling: inherited(self.entity.scheduling()),
            ..*self.placement.lock()
        }
    }

    /// Returns the CPUs that it may run on.
    pub fn affinity(&self) -> Affinity {
        self.placement.lock().affinity
    }

    /// Changes the CPUs that it may run on.
    pub fn set_affinity(&self, affinity: Affinity) {
        self.placement.lock().affinity = affinity;
    }

    /// Returns whether it may run on `cpu`.
    pub fn may_run_on(&self, cpu: u32) -> bool {
        self.placement.lock().affinity.contains(cpu)
    }

    /// Returns its memory policy.
    pub fn policy(&self) -> Policy {
        self.placement.lock().policy
    }

    /// Changes its memory policy.
    pub fn set_policy(&self, policy: Policy) {
        self.placement.lock().policy = policy;
    }
}
