// SPDX-License-Identifier: GPL-2.0
//! The mlock family. Memory of the partition never leaves; locking means being there and counting.

use cokernel_logic::vma::{Attributes, Kind, Range};

use ihk_ikc::syscalls::number;

use crate::addr::{page_down, page_up};
use crate::arch::UserFrame;
use crate::aspace::space::LockNew;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::mirror;
use crate::process::limits;
use crate::syscall::madvise;
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::uint;

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
    let range = range_of(frame.args())?;
    let process = current::process();
    let _layout = process.space.lock_layout();
    for part in mirror::parts(&process.space, range) {
        // Linux's own limit was the program's when it began; what counts is kept here.
        let _ = delegate::ask(
            number::munlock,
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
    let process = current::process();
    let space = &process.space;
    let _layout = space.lock_layout();
    let totals = space.with(|inner| inner.areas.totals());
    let more = if flags & MCL_CURRENT != 0 {
        totals.all - totals.locked
    } else {
        0
    };
    // Even to lock what comes later takes the right to lock anything.
    limits::check_locked(process, more.max(1))?;
    let fill = flags & MCL_ONFAULT == 0;
    space.with(|inner| {
        inner.lock_new = match (flags & MCL_FUTURE != 0, fill) {
            (false, _) => LockNew::No,
            (true, true) => LockNew::Filled,
            (true, false) => LockNew::OnFault,
        };
        if flags & MCL_CURRENT != 0 {
            inner
                .areas
                .update(space.window, |what| with_lock(what, true));
        }
    });
    if flags & MCL_CURRENT != 0 && fill {
        // A page that cannot come stays away, as on Linux.
        let _ = fill_locked(process, space.window);
    }
    Ok(0)
}

/// munlockall(2).
pub fn munlockall(_: &mut UserFrame) -> SyscallResult {
    let space = &current::process().space;
    let _layout = space.lock_layout();
    space.with(|inner| {
        inner.lock_new = LockNew::No;
        inner
            .areas
            .update(space.window, |what| with_lock(what, false));
    });
    Ok(0)
}

fn range_of(args: [u64; 6]) -> Result<Range, Errno> {
    let [start, bytes, ..] = args;
    let first = page_down(start);
    let bytes = bytes.checked_add(start - first).and_then(page_up);
    bytes
        .and_then(|bytes| Range::new(first, bytes))
        .ok_or(Errno::EINVAL)
}

fn lock(args: [u64; 6], fill: bool) -> SyscallResult {
    let range = range_of(args)?;
    let process = current::process();
    let _layout = process.space.lock_layout();
    let unlocked = process.space.with(|inner| {
        let parts = inner.areas.parts(range);
        let locked = parts.iter().filter(|area| area.attributes.locked);
        range.bytes() - locked.map(|area| area.range.bytes()).sum::<u64>()
    });
    limits::check_locked(process, unlocked)?;
    mark(process, range, true)?;
    if fill {
        fill_locked(process, range)?;
    }
    Ok(0)
}

/// Locks or unlocks `range` up to the first hole.
fn mark(process: &Process, range: Range, locked: bool) -> SyscallResult {
    process.space.with(|inner| {
        inner.check_split(range)?;
        let end = inner.areas.covered_until(range);
        inner
            .areas
            .update(Range { end, ..range }, |what| with_lock(what, locked));
        if end < range.end {
            Err(Errno::ENOMEM)
        } else {
            Ok(0)
        }
    })
}

fn with_lock(what: Attributes, locked: bool) -> Attributes {
    Attributes {
        locked: locked && what.kind != Kind::Special,
        ..what
    }
}

/// Brings locked memory in, what is writable as a page of its own.
///
/// # Errors
///
/// `ENOMEM`: some is inaccessible, or there is none left.
fn fill_locked(process: &Process, range: Range) -> Result<(), Errno> {
    let mut result = Ok(());
    for part in process.space.with(|inner| inner.areas.parts(range)) {
        let what = part.attributes;
        if !what.locked {
            continue;
        }
        let filled = if mirror::is_mirrored(&part) {
            let args = [part.range.start, part.range.bytes(), 0, 0, 0, 0];
            delegate::ask(number::mlock, args).map(drop)
        } else {
            let write = what.protection.write && !what.shared;
            madvise::fill(process, part.range, write)
        };
        result = result.and(filled.map_err(|_| Errno::ENOMEM));
    }
    result
}
