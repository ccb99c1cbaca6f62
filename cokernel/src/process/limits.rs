// SPDX-License-Identifier: GPL-2.0
//! Resource limits on memory: Linux cannot enforce them, it does not see the memory. That on CPU time is
//! in [`crate::process::cpu_limits`].

use cokernel_logic::vma::{Attributes, Protection, Range};

use ihk_ikc::syscalls::number;

use crate::delegate;
use crate::errno::Errno;
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
    let now = process.space.with(|inner| inner.areas.totals());
    let too_much = now.all.saturating_add(bytes) > soft(process, AS)
        || what.is_data() && now.data.saturating_add(bytes) > soft(process, DATA);
    if too_much {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

/// Whether all of `range` may become writable.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_more_data(process: &Process, range: Range) -> Result<(), Errno> {
    let writable = |what: Attributes| {
        let protection = Protection {
            write: true,
            ..what.protection
        };
        Attributes { protection, ..what }
    };
    let (now, more) = process.space.with(|inner| {
        let parts = inner.areas.parts(range);
        let more = parts
            .iter()
            .filter(|area| !area.attributes.is_data() && writable(area.attributes).is_data());
        let more: u64 = more.map(|area| area.range.bytes()).sum();
        (inner.areas.totals().data, more)
    });
    if more != 0 && now.saturating_add(more) > soft(process, DATA) {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

/// Whether `bytes` more may be locked.
///
/// # Errors
///
/// `EPERM` if nothing may be locked at all, `ENOMEM` if not as much.
pub fn check_locked(process: &Process, bytes: u64) -> Result<(), Errno> {
    let limit = soft(process, MEMLOCK);
    let locked = process.space.with(|inner| inner.areas.totals().locked);
    if bytes == 0 || limit != 0 && locked.saturating_add(bytes) <= limit || is_root() {
        Ok(())
    } else if limit == 0 {
        Err(Errno::EPERM)
    } else {
        Err(Errno::ENOMEM)
    }
}

/// The error by which calls that map memory say that too much would be locked.
pub const fn at_mapping(errno: Errno) -> Errno {
    match errno {
        Errno::ENOMEM => Errno::EAGAIN,
        other => other,
    }
}

/// Whether the program is root, as far as limits go.
pub fn is_root() -> bool {
    delegate::ask(number::geteuid, [0; 6]) == Ok(0)
}
