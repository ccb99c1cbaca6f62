// SPDX-License-Identifier: GPL-2.0
//! Resource limits on memory: Linux cannot enforce them, it does not see the memory.

use cokernel_logic::vma::{Kind, Protection};

use super::errno::Errno;
use crate::delegate;
use crate::task::process::Process;

/// `RLIMIT_*` numbers.
pub const DATA: usize = 2;
/// See [`DATA`].
pub const STACK: usize = 3;
/// See [`DATA`].
pub const MEMLOCK: usize = 8;
/// See [`DATA`].
pub const AS: usize = 9;

/// Number of geteuid(2).
const SYS_GETEUID: u64 = 107;

/// The soft limit of `resource`.
pub fn soft(process: &Process, resource: usize) -> u64 {
    process.limits.lock()[resource][0]
}

/// Whether `bytes` more with `protection` stay below the limits.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_growth(process: &Process, bytes: u64, protection: Protection) -> Result<(), Errno> {
    let (all, data) = process.space.with(|inner| {
        let all = inner.areas.bytes_where(|_| true);
        let data = inner
            .areas
            .bytes_where(|what| what.protection.write && !what.shared && what.kind != Kind::Stack);
        (all, data)
    });
    let too_much = all.saturating_add(bytes) > soft(process, AS)
        || protection.write && data.saturating_add(bytes) > soft(process, DATA);
    if too_much {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

/// Whether `bytes` more may be locked.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_locked(process: &Process, bytes: u64) -> Result<(), Errno> {
    let locked = process
        .space
        .with(|inner| inner.areas.bytes_where(|what| what.locked));
    if locked.saturating_add(bytes) <= soft(process, MEMLOCK) || is_root() {
        Ok(())
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Whether the program is root, as far as limits go.
pub fn is_root() -> bool {
    delegate::call(SYS_GETEUID, [0; 6]) == 0
}
