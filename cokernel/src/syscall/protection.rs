// SPDX-License-Identifier: GPL-2.0
//! Protection keys as system calls name them.

use crate::arch::protection_key;
use crate::errno::Errno;
use crate::task::process::Process;

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
