// SPDX-License-Identifier: GPL-2.0
//! mprotect; with a key it is pkey_mprotect.

use cokernel_logic::syscall::memory::{allowed, changeable, keys_of, protection_of, ProtectArgs};
use cokernel_logic::vma::{Attributes, Protection, Range};
use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{mirror, proxy_rights, revoke};
use crate::process::limits;
use crate::syscall::protection;
use crate::task::current;
use crate::task::process::Process;

/// mprotect(2).
pub fn mprotect(frame: &mut UserFrame) -> SyscallResult {
    protect(frame.args(), None)
}

/// Gives pages rights and, if it is not `None`, a key.
pub(super) fn protect([start, bytes, prot, ..]: [u64; 6], key: Option<i32>) -> SyscallResult {
    let Some(args) = ProtectArgs::check(start, bytes, prot)? else {
        return Ok(0);
    };
    let process = current::process();
    let _layout = process.space.lock_layout();
    let key = key.map(|key| protection::taken(process, key)).transpose()?;
    let (range, before_hole, before_refusal) = process.space.with(|inner| {
        let range = args.range(&inner.areas)?;
        // As on Linux, what lies before a hole changes all the same.
        let before_hole = changeable(&inner.areas, range)?;
        let allowed = allowed(&inner.areas, before_hole, protection_of(prot));
        Ok((range, before_hole, allowed))
    })?;
    for (part, own) in process
        .space
        .with(|inner| keys_of(&inner.areas, before_refusal))
    {
        let protection = Protection {
            key: key.unwrap_or(own),
            ..protection_of(prot)
        };
        change(process, part, protection)?;
    }
    if before_refusal.end < before_hole.end {
        return Err(Errno::EACCES);
    }
    if before_hole.end < range.end {
        return Err(Errno::ENOMEM);
    }
    Ok(0)
}

/// Gives all of `range`, which areas cover, the rights `protection`. The caller holds the layout
/// lock.
///
/// # Errors
///
/// `ENOMEM`; `EACCES` where a file was not opened for that.
pub fn change(process: &Process, range: Range, protection: Protection) -> Result<(), Errno> {
    let space = &process.space;
    if protection.write {
        limits::check_more_data(process, range)?;
    }
    space.with(|inner| inner.check_split(range))?;
    for area in mirror::parts(space, range) {
        let Range { start, .. } = area.range;
        let args = [
            start,
            area.range.bytes(),
            mirror::rights(protection),
            0,
            0,
            0,
        ];
        delegate::ask(op::PROTECT_FILE, args)?;
    }
    let had_pages = space.with(|inner| {
        inner.set_rights(range, protection)?;
        inner
            .areas
            .update(range, |what| Attributes { protection, ..what });
        Ok::<_, Errno>(inner.has_pages(range))
    })?;
    // They come back with the rights they have now.
    mirror::forget(space, range);
    if had_pages {
        space.flush(range);
    }
    if protection.is_accessible() {
        return proxy_rights::sync(space, range);
    }
    let seen = space.with(|inner| inner.exposed_frames(range));
    revoke::withdraw(process, range, seen);
    Ok(())
}
