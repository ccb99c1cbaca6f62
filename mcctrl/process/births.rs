// SPDX-License-Identifier: GPL-2.0
//! Which child of a proxy stands for which process that its program has forked.
//!
//! The thread that forks announces what the co-kernel has prepared. Linux copies the gate's area into the
//! child's address space in that very thread, before the child exists: so the two are bound. The child may
//! adopt what was prepared for it, once, and nobody else may.
//!
//! ```text
//!  announced, for a thread ── it forks ──► born, for an address space ── ADOPT ──► taken
//!      └── the next announcement            └── the address space ends ──► forgotten
//! ```

use crate::ffi::irq_lock::IrqLock;
use crate::ffi::task::{AddressSpace, ProcessId, ThreadId};
use kernel::prelude::*;

/// A child that may adopt.
pub(crate) struct Birth {
    space: AddressSpace,
    /// The proxy's process that has forked it.
    pub(crate) parent: ProcessId,
    /// What the co-kernel has prepared.
    pub(crate) prepared_child: u64,
}

/// The children that have come or are about to come through one gate.
pub(crate) struct Births {
    announced: IrqLock<KVec<(ThreadId, u64)>>,
    born: IrqLock<KVec<Birth>>,
}

impl Births {
    /// None.
    pub(crate) fn new() -> Self {
        Self {
            announced: IrqLock::new(KVec::new()),
            born: IrqLock::new(KVec::new()),
        }
    }

    /// ANNOUNCE_FORK: the calling thread forks for `prepared_child`; 0: it has not come to that.
    pub(crate) fn announce(&self, prepared_child: u64) -> Result {
        // With what threads have left that have died since.
        while self
            .take_where(|thread| thread.is_current() || !thread.is_alive())
            .is_some()
        {}
        if prepared_child != 0 {
            let announcement = (ThreadId::current(), prepared_child);
            self.announced.lock().push(announcement, GFP_ATOMIC)?;
        }
        Ok(())
    }

    fn take_where(&self, is_meant: impl Fn(&ThreadId) -> bool) -> Option<(ThreadId, u64)> {
        let mut announced = self.announced.lock();
        let index = announced.iter().position(|(thread, _)| is_meant(thread))?;
        announced.remove(index).ok()
    }

    /// Linux copies the gate into `child`'s address space, in the thread that forks. Without room the child
    /// cannot adopt, and the fork fails.
    pub(crate) fn inherited(&self, child: AddressSpace) {
        let Some((_, prepared_child)) = self.take_where(ThreadId::is_current) else {
            return;
        };
        let Ok(parent) = ProcessId::current() else {
            return;
        };
        let birth = Birth {
            space: child,
            parent,
            prepared_child,
        };
        let _ = self.born.lock().push(birth, GFP_ATOMIC);
    }

    /// `space` has lost the gate.
    pub(crate) fn gone(&self, space: &AddressSpace) {
        let birth = self.take_birth(space);
        drop(birth);
    }

    /// What the calling process may adopt. EPERM if there is nothing, or nothing any more.
    pub(crate) fn take(&self) -> Result<Birth> {
        self.take_birth(&AddressSpace::current()).ok_or(EPERM)
    }

    fn take_birth(&self, space: &AddressSpace) -> Option<Birth> {
        let mut born = self.born.lock();
        let index = born.iter().position(|birth| birth.space == *space)?;
        born.remove(index).ok()
    }
}
