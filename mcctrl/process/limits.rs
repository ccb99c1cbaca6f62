// SPDX-License-Identifier: GPL-2.0
//! Resource limits of programs. Linux keeps them all. The soft ones on memory are the co-kernel's, which
//! alone sees the memory; hard ones are Linux's, where no program can forget them.
//!
//! The limit of a process's address space is higher in Linux by the size of the window, which is no memory
//! of the process.

use crate::ffi::rights::Subject;
use crate::ffi::rlimit;
use crate::proto::layout::WINDOW_END;
use crate::proto::process::RLIMITS;
use kernel::prelude::*;

/// `RLIMIT_AS`.
const ADDRESS_SPACE: usize = 9;
/// Limits whose soft value the co-kernel keeps: data, stack, locked memory, address space.
const OF_MEMORY: [usize; 4] = [2, 3, 8, ADDRESS_SPACE];

/// The limits of the calling process as its program has them, `told` being the soft ones on memory.
pub(crate) fn of_current(told: &[[u64; 2]; RLIMITS]) -> Result<[[u64; 2]; RLIMITS]> {
    let mut known = rlimit::of_current()?;
    let without_window = |limit: u64| match limit {
        u64::MAX => limit,
        limit => limit.checked_sub(WINDOW_END).unwrap_or(limit),
    };
    for (number, limit) in known.iter_mut().enumerate() {
        if number == ADDRESS_SPACE {
            *limit = limit.map(without_window);
        }
        if OF_MEMORY.contains(&number) {
            let [told, _] = told.get(number).copied().unwrap_or(*limit);
            limit[0] = told.min(limit[1]);
        }
    }
    Ok(known)
}

/// Makes room for the window in the calling process.
pub(crate) fn make_room() -> Result {
    rlimit::raise_address_space(WINDOW_END)
}

/// The limit `number` of the process of `subject` is to be `soft` and `hard`. What Linux has no system call for
/// is set here.
pub(crate) fn set(subject: &Subject, number: u32, soft: u64, hard: u64) -> Result {
    if soft > hard {
        return Err(EINVAL);
    }
    let number = usize::try_from(number).map_err(|_| EINVAL)?;
    if !OF_MEMORY.contains(&number) {
        return subject.check_hard_limit(number, hard);
    }
    let in_linux = if number == ADDRESS_SPACE {
        hard.saturating_add(WINDOW_END)
    } else {
        hard
    };
    subject.set_hard_limit(number, in_linux)
}
