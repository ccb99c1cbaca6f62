// SPDX-License-Identifier: GPL-2.0
//! Protection keys: pages have one, and each thread a register that says which keys' pages it may not
//! touch. Linux's calls do not heed them: in the proxy all pages have key 0.

use crate::arch::{protection_key, UserFrame};
use crate::errno::{Errno, SyscallResult};
use crate::syscall::{mprotect, protection};
use crate::task::current;
use crate::user_memory::{int, uint};

/// The rights that a key may take away: any access, writes.
const RIGHTS: u64 = 3;
/// The key by which pkey_mprotect(2) is told that pages keep the key they have.
const NO_KEY: i32 = -1;

/// pkey_mprotect(2).
pub fn pkey_mprotect(frame: &mut UserFrame) -> SyscallResult {
    let args = frame.args();
    let key = int(args[3]);
    mprotect::protect(args, (key != NO_KEY).then_some(key))
}

/// pkey_alloc(2): the lowest key that nobody has.
pub fn pkey_alloc(frame: &mut UserFrame) -> SyscallResult {
    let [flags, denied, ..] = frame.args();
    if flags != 0 || denied & !RIGHTS != 0 {
        return Err(Errno::EINVAL);
    }
    if !protection_key::exist() {
        return Err(Errno::ENOSPC);
    }
    let key = current::process().space.with(|inner| {
        let key = inner.keys.trailing_ones();
        let bit = 1u16.checked_shl(key).ok_or(Errno::ENOSPC)?;
        inner.keys |= bit;
        Ok(key)
    })?;
    protection_key::deny(key, uint(denied));
    Ok(key.into())
}

/// pkey_free(2). Pages that have the key keep it.
pub fn pkey_free(frame: &mut UserFrame) -> SyscallResult {
    let process = current::process();
    let key = protection::taken(process, int(frame.args()[0]))?;
    process.space.with(|inner| inner.keys &= !(1 << key));
    Ok(0)
}
