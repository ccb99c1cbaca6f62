// SPDX-License-Identifier: GPL-2.0
//! Resource limits on memory: Linux cannot enforce them, it does not see the memory. That on CPU time is
//! in [`crate::process::cpu_limits`].

use cokernel_logic::syscall::mlock;
pub use cokernel_logic::syscall::mlock::at_mapping;
use cokernel_logic::syscall::rlimit::{self, MemoryLimits};
use cokernel_logic::vma::{Attributes, Range};
use ihk_ikc::process::capability;

use crate::errno::Errno;
use crate::process::rights;
use crate::task::process::Process;
use crate::task::rlimits::{AS, DATA, MEMLOCK};

/// The soft limit of `resource`.
pub fn soft(process: &Process, resource: usize) -> u64 {
    process.limits.get(resource)[0]
}

/// Whether `bytes` more with the attributes `what` stay below the limits.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_growth(process: &Process, bytes: u64, what: &Attributes) -> Result<(), Errno> {
    let limits = MemoryLimits {
        space: soft(process, AS),
        data: soft(process, DATA),
    };
    let now = process.space.with(|inner| inner.areas.totals());
    rlimit::check_growth(&now, bytes, what, limits)
}

/// Whether all of `range` may become writable.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_more_data(process: &Process, range: Range) -> Result<(), Errno> {
    let data = soft(process, DATA);
    process
        .space
        .with(|inner| rlimit::check_more_data(&inner.areas, range, data))
}

/// Whether `bytes` more may be locked.
///
/// # Errors
///
/// `EPERM` if nothing may be locked at all, `ENOMEM` if not as much.
pub fn check_locked(process: &Process, bytes: u64) -> Result<(), Errno> {
    let locked = process.space.with(|inner| inner.areas.totals().locked);
    mlock::check_limit(locked, bytes, soft(process, MEMLOCK), || {
        rights::has(capability::IPC_LOCK)
    })
}
