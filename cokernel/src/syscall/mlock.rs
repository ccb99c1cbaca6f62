// SPDX-License-Identifier: GPL-2.0
//! The mlock family. Memory of the partition never leaves; locking means being there and counting.

use cokernel_logic::vma::{Attributes, Kind, Range};

use super::errno::{Errno, SyscallResult};
use super::user::uint;
use super::{limits, madvise};
use crate::arch::UserFrame;
use crate::mm::addr::{page_down, page_up};
use crate::mm::mirror;
use crate::task::process::{self, Process};

/// Number of mlock(2).
const SYS_MLOCK: u64 = 149;
/// Number of munlock(2).
const SYS_MUNLOCK: u64 = 150;
/// `MLOCK_ONFAULT`.
const ONFAULT: u32 = 1;
const MCL_CURRENT: u32 = 1;
const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

/// mlock(2).
pub fn mlock(frame: &mut UserFrame) -> SyscallResult {
    lock(frame.args(), true)
}

/// mlock2(2).
pub fn mlock2(frame: &mut UserFrame) -> SyscallResult {
    let flags = uint(frame.args()[2]);
    if flags & !ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    lock(frame.args(), flags & ONFAULT == 0)
}

/// munlock(2).
pub fn munlock(frame: &mut UserFrame) -> SyscallResult {
    let process = process::current();
    let _layout = process.space.lock_layout();
    let range = range_of(frame.args())?;
    for part in mirror::parts(&process.space, range) {
        // Linux's own limit was the program's when it began; what counts is kept here.
        let _ = mirror::ask(
            SYS_MUNLOCK,
            [part.range.start, part.range.bytes(), 0, 0, 0, 0],
        );
    }
    mark(process, range, false)
}

/// mlockall(2).
pub fn mlockall(frame: &mut UserFrame) -> SyscallResult {
    let flags = uint(frame.args()[0]);
    if flags == 0 || flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0 || flags == MCL_ONFAULT
    {
        return Err(Errno::EINVAL);
    }
    let process = process::current();
    let _layout = process.space.lock_layout();
    let all = process
        .space
        .with(|inner| inner.areas.bytes_where(|what| !what.locked));
    limits::check_locked(process, all)?;
    if flags & MCL_CURRENT != 0 {
        let window = process.space.window;
        process
            .space
            .with(|inner| inner.areas.update(window, |what| with_lock(what, true)));
        if flags & MCL_ONFAULT == 0 {
            fill_accessible(process, window);
        }
    }
    Ok(0)
}

/// munlockall(2).
pub fn munlockall(_: &mut UserFrame) -> SyscallResult {
    let process = process::current();
    let _layout = process.space.lock_layout();
    let window = process.space.window;
    process
        .space
        .with(|inner| inner.areas.update(window, |what| with_lock(what, false)));
    Ok(0)
}

fn range_of(args: [u64; 6]) -> Result<Range, Errno> {
    let [start, bytes, ..] = args;
    let end = start
        .checked_add(bytes)
        .and_then(page_up)
        .ok_or(Errno::EINVAL)?;
    Ok(Range {
        start: page_down(start),
        end,
    })
}

fn lock(args: [u64; 6], fill: bool) -> SyscallResult {
    let range = range_of(args)?;
    let process = process::current();
    let _layout = process.space.lock_layout();
    limits::check_locked(process, range.bytes())?;
    mark(process, range, true)?;
    if fill {
        fill_accessible(process, range);
    }
    Ok(0)
}

fn mark(process: &Process, range: Range, locked: bool) -> SyscallResult {
    process.space.with(|inner| {
        if !inner.areas.is_covered(range) {
            return Err(Errno::ENOMEM);
        }
        inner.areas.update(range, |what| with_lock(what, locked));
        Ok(0)
    })
}

fn with_lock(what: Attributes, locked: bool) -> Attributes {
    Attributes {
        locked: locked && what.kind != Kind::Special,
        ..what
    }
}

/// Locked memory is there. What cannot come stays away, as on Linux.
fn fill_accessible(process: &Process, range: Range) {
    for part in process.space.with(|inner| inner.areas.parts(range)) {
        if part.attributes.locked
            && part.attributes.protection.is_accessible()
            && part.attributes.kind != Kind::Stack
        {
            let _ = if mirror::is_mirrored(&part) {
                mirror::ask(
                    SYS_MLOCK,
                    [part.range.start, part.range.bytes(), 0, 0, 0, 0],
                )
                .map(drop)
            } else {
                madvise::fill(process, part.range, false)
            };
        }
    }
}
