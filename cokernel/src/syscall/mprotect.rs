// SPDX-License-Identifier: GPL-2.0
//! mprotect; with a key it is pkey_mprotect.

use alloc::vec::Vec;

use cokernel_logic::vma::{Attributes, Kind, Protection, Range};
use ihk_ikc::process::op;

use crate::addr::{is_page_aligned, page_up};
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{mirror, proxy_rights, revoke};
use crate::process::limits;
use crate::syscall::protection::{self, protection_of};
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::uint;

/// Read, write, execute, and `PROT_SEM`, which means nothing on x86.
const PROT_KNOWN: u32 = 0xf;
const PROT_GROWSDOWN: u32 = 0x0100_0000;
const PROT_GROWSUP: u32 = 0x0200_0000;

/// mprotect(2).
pub fn mprotect(frame: &mut UserFrame) -> SyscallResult {
    protect(frame.args(), None)
}

/// Gives pages rights and, if it is not `None`, a key.
pub(super) fn protect([start, bytes, prot, ..]: [u64; 6], key: Option<i32>) -> SyscallResult {
    let growth = uint(prot) & (PROT_GROWSDOWN | PROT_GROWSUP);
    let unknown = uint(prot) & !(PROT_KNOWN | PROT_GROWSDOWN | PROT_GROWSUP);
    if !is_page_aligned(start) || unknown != 0 || growth & PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL);
    }
    if bytes == 0 {
        return Ok(0);
    }
    let mut range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::ENOMEM)?;
    let process = current::process();
    let _layout = process.space.lock_layout();
    let key = key.map(|key| protection::taken(process, key)).transpose()?;
    if growth & PROT_GROWSDOWN != 0 {
        let area = process
            .space
            .with(|inner| inner.areas.find(start))
            .ok_or(Errno::ENOMEM)?;
        if !area.attributes.grows_down {
            return Err(Errno::EINVAL);
        }
        range.start = area.range.start;
    }
    // As on Linux, what lies before a hole changes all the same.
    let before_hole = Range {
        end: changeable(process, range)?,
        ..range
    };
    for (part, own) in keys_of(process, before_hole) {
        let protection = Protection {
            key: key.unwrap_or(own),
            ..protection_of(prot)
        };
        change(process, part, protection)?;
    }
    if before_hole.end < range.end {
        return Err(Errno::ENOMEM);
    }
    Ok(0)
}

/// The parts of `range`, which areas cover, by their protection keys.
fn keys_of(process: &Process, range: Range) -> Vec<(Range, u8)> {
    let mut parts: Vec<(Range, u8)> = Vec::new();
    for area in process.space.with(|inner| inner.areas.parts(range)) {
        let key = area.attributes.protection.key;
        match parts.last_mut() {
            Some((last, same)) if *same == key => last.end = area.range.end,
            _ => parts.push((area.range, key)),
        }
    }
    parts
}

/// The address up to which areas cover `range` from its start on.
fn changeable(process: &Process, range: Range) -> Result<u64, Errno> {
    process.space.with(|inner| {
        let end = inner.areas.covered_until(range);
        let covered = inner.areas.parts(Range { end, ..range });
        if covered.is_empty() {
            return Err(Errno::ENOMEM);
        }
        let special = covered
            .iter()
            .any(|area| area.attributes.kind == Kind::Special);
        if special {
            Err(Errno::EACCES)
        } else {
            Ok(end)
        }
    })
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
