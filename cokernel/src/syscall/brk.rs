// SPDX-License-Identifier: GPL-2.0
//! brk.

use cokernel_logic::vma::{Attributes, Kind, Protection, Range};

use crate::addr::page_up;
use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::aspace::space::LockNew;
use crate::errno::{Errno, SyscallResult};
use crate::frames::watermark;
use crate::mm::{proxy_rights, unmap};
use crate::process::limits;
use crate::task::process::Process;
use crate::task::{current, rlimits};

/// Rights of the heap.
const HEAP: Protection = Protection {
    read: true,
    write: true,
    exec: false,
    key: 0,
};

/// brk(2): returns the break, moved or not.
pub fn brk(frame: &mut UserFrame) -> SyscallResult {
    let [wanted, ..] = frame.args();
    let process = current::process();
    let _layout = process.space.lock_layout();
    let (start, now) = process
        .space
        .with(|inner| (inner.break_start, inner.break_now));
    if start == 0 || wanted < start || move_to(process, start, now, wanted).is_err() {
        return Ok(now);
    }
    process.space.with(|inner| inner.break_now = wanted);
    Ok(wanted)
}

fn move_to(process: &Process, start: u64, now: u64, wanted: u64) -> Result<(), Errno> {
    let old = page_up(now).ok_or(Errno::ENOMEM)?;
    let new = page_up(wanted).ok_or(Errno::ENOMEM)?;
    if new < old {
        return unmap::unmap(
            process,
            Range {
                start: new,
                end: old,
            },
        );
    }
    if new > old {
        return grow(
            process,
            start,
            Range {
                start: old,
                end: new,
            },
        );
    }
    Ok(())
}

fn grow(process: &Process, start: u64, range: Range) -> Result<(), Errno> {
    let space = &process.space;
    if range.end - start > limits::soft(process, rlimits::DATA) || !space.window.covers(&range) {
        return Err(Errno::ENOMEM);
    }
    let what = Attributes {
        locked: space.with(|inner| inner.lock_new != LockNew::No),
        ..Attributes::new(Kind::Heap, HEAP)
    };
    limits::check_growth(process, range.bytes(), &what)?;
    if what.locked {
        limits::check_locked(process, range.bytes())?;
    }
    if !watermark::has_room_for(range.bytes()) {
        return Err(Errno::ENOMEM);
    }
    space.with(|inner| inner.add_area(range, what))?;
    let grown = populate::populate(space, range, HEAP, &current::asker(space))
        .and_then(|()| proxy_rights::sync(space, range));
    if grown.is_err() {
        unmap::unmap(process, range)?;
    }
    grown
}
