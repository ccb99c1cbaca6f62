// SPDX-License-Identifier: GPL-2.0
//! The mlock family. Memory of the partition never leaves; locking means being there and counting.

use cokernel_logic::syscall::mlock::{fills, range_of, unlocked_bytes, with_lock, LockAll};
use cokernel_logic::vma::Range;
use ihk_ikc::syscalls::number;

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

/// mlock(2).
pub fn mlock(frame: &mut UserFrame) -> SyscallResult {
    lock(frame.args(), true)
}

/// mlock2(2).
pub fn mlock2(frame: &mut UserFrame) -> SyscallResult {
    let fill = fills(uint(frame.args()[2]))?;
    lock(frame.args(), fill)
}

/// munlock(2).
pub fn munlock(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, ..] = frame.args();
    let range = range_of(start, bytes)?;
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
    let wanted = LockAll::check(uint(frame.args()[0]))?;
    let process = current::process();
    let space = &process.space;
    let _layout = space.lock_layout();
    let totals = space.with(|inner| inner.areas.totals());
    let more = if wanted.current {
        totals.all - totals.locked
    } else {
        0
    };
    // Even to lock what comes later takes the right to lock anything.
    limits::check_locked(process, more.max(1))?;
    space.with(|inner| {
        inner.lock_new = match (wanted.future, wanted.fill) {
            (false, _) => LockNew::No,
            (true, true) => LockNew::Filled,
            (true, false) => LockNew::OnFault,
        };
        if wanted.current {
            inner
                .areas
                .update(space.window, |what| with_lock(what, true));
        }
    });
    if wanted.current && wanted.fill {
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

fn lock(args: [u64; 6], fill: bool) -> SyscallResult {
    let [start, bytes, ..] = args;
    let range = range_of(start, bytes)?;
    let process = current::process();
    let _layout = process.space.lock_layout();
    let unlocked = process
        .space
        .with(|inner| unlocked_bytes(&inner.areas, range));
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
