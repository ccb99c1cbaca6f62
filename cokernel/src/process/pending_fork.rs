// SPDX-License-Identifier: GPL-2.0
//! Pending forks: processes that a thread has prepared and that nobody on Linux stands for yet.
//!
//! The forking thread prepares the child, then has its worker fork. The worker's child adopts the
//! prepared process through mcctrl. Whoever takes it out of the list first decides: adopted, or
//! discarded by the forking thread because that failed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::packet::ProcessHandle;

use crate::aspace::space::AddressSpace;
use crate::errno::Errno;
use crate::sync::SpinLock;
use crate::task::process::{self, Parts, Process};

/// A process that fork has prepared and that no proxy has adopted yet.
pub struct PreparedChild {
    /// The process that prepared it.
    pub parent: ProcessHandle,
    /// Its memory.
    pub space: Arc<AddressSpace>,
    /// All else that it is made of.
    pub parts: Parts,
}

static PREPARED: SpinLock<Vec<(u64, PreparedChild)>> = SpinLock::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Keeps `prepared_child` and returns the number by which it can be found.
pub fn put(prepared_child: PreparedChild) -> u64 {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    PREPARED.lock().push((number, prepared_child));
    number
}

/// Takes out what `parent` has put in as `number`, if it is still there.
pub fn take(number: u64, parent: ProcessHandle) -> Option<PreparedChild> {
    let mut prepared = PREPARED.lock();
    let index = prepared
        .iter()
        .position(|(other, it)| *other == number && it.parent == parent)?;
    Some(prepared.swap_remove(index).1)
}

/// Makes process `pid` of what `parent` has prepared as `number`, to run on CPU `cpu`.
///
/// # Errors
///
/// `ESRCH` if there is no such thing, `EAGAIN` if there are too many processes.
pub fn adopt(
    number: u64,
    parent: ProcessHandle,
    pid: i32,
    cpu: u32,
) -> Result<Arc<Process>, Errno> {
    let prepared_child = take(number, parent).ok_or(Errno::ESRCH)?;
    let mut waiting = Some(prepared_child);
    let entered = process::enter(|handle| {
        let PreparedChild { space, parts, .. } = waiting.take().ok_or(Errno::ESRCH)?;
        if space.owner() == 0 {
            space.set_owner(handle);
        }
        Ok(Process::new(handle, pid, cpu, space, parts))
    });
    if let Some(prepared_child) = waiting {
        prepared_child.discard();
    }
    entered
}

impl PreparedChild {
    /// Gives everything up; Linux has not seen any of it.
    pub fn discard(self) {
        self.space.remove_user();
    }
}
