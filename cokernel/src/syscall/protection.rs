// SPDX-License-Identifier: GPL-2.0
//! Rights and protection keys as system calls name them.

use cokernel_logic::vma::Protection;

use crate::arch::protection_key;
use crate::errno::Errno;
use crate::task::process::Process;
use crate::user_memory::uint;

pub const PROT_READ: u32 = 1;
pub const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;

/// The rights `prot` asks for; bits that mean nothing here are ignored, as on Linux.
pub fn protection_of(prot: u64) -> Protection {
    let prot = uint(prot);
    Protection {
        read: prot & PROT_READ != 0,
        write: prot & PROT_WRITE != 0,
        exec: prot & PROT_EXEC != 0,
        key: 0,
    }
}

/// `key`, if it is one that `process` has allocated.
///
/// # Errors
///
/// `EINVAL`.
pub fn taken(process: &Process, key: i32) -> Result<u8, Errno> {
    let known = u8::try_from(key).ok();
    let taken = process.space.with(|inner| inner.keys);
    known
        .filter(|key| *key < protection_key::KEYS && taken & 1 << key != 0)
        .ok_or(Errno::EINVAL)
}
