// SPDX-License-Identifier: GPL-2.0
//! Taking ranges out of an address space: areas, pages, Linux's mappings. All of it under the
//! layout lock, which the caller holds.

use cokernel_logic::vma::Range;
use ihk_ikc::layout::LARGE_PAGE_BYTES;

use crate::errno::Errno;
use crate::frames::refcount;
use crate::mm::{file_mapping, mirror, proxy_rights, revoke};
use crate::task::process::Process;
use crate::task::sched;

/// Removes everything in `range`; its addresses may be used again afterwards, but for those of the vdso.
///
/// # Errors
///
/// `ENOMEM`: no frame to cut a large page at an edge, or too many areas, here or in Linux; areas
/// stay.
pub fn unmap(process: &Process, range: Range) -> Result<(), Errno> {
    process.space.with(|inner| inner.check_split(range))?;
    mirror::restore_window(process, range)?;
    let removed = process.space.with(|inner| {
        inner.cut_edges(range)?;
        Ok(inner.remove_areas(range))
    })?;
    if removed.iter().any(mirror::is_mirrored) {
        // With the area gone, nothing is shown any more.
        mirror::forget(&process.space, range);
    }
    if removed.iter().any(|area| area.attributes.source != 0) {
        file_mapping::forget_unused(process);
    }
    empty(process, range)
}

/// Frees all pages in `range`; areas stay, and zeroed memory comes at the next touch.
///
/// # Errors
///
/// `ENOMEM`: no frame to cut a large page at an edge; nothing was changed.
pub fn empty(process: &Process, range: Range) -> Result<(), Errno> {
    let mut linux_had_some = false;
    let mut at = range.start;
    while at < range.end {
        let rest = Range {
            start: at,
            end: range.end,
        };
        let taken = process.space.with(|inner| inner.take_pages(rest))?;
        let part = taken.range();
        let frames = taken.flush(&process.space.hardware);
        if !frames.list().is_empty() {
            linux_had_some |= revoke::release(process, part, frames);
        }
        sched::breathe();
        at = part.end;
    }
    if linux_had_some && range.bytes() >= LARGE_PAGE_BYTES {
        proxy_rights::drop_tables(range);
    }
    Ok(())
}

/// Zeroes all pages in `range`, for everybody who shares them; what nobody else has is freed.
///
/// # Errors
///
/// `ENOMEM`: no frame to cut a large page at an edge; nothing was changed.
pub fn wipe(process: &Process, range: Range) -> Result<(), Errno> {
    let space = &process.space;
    space.with(|inner| inner.cut_edges(range))?;
    let has_sharers = in_turns(range, |rest| {
        let shared = space.with(|inner| {
            let part = inner.first_turn(rest);
            let found = inner.pages(part).any(|page| refcount::is_shared(&page));
            (!found).then_some(part)
        });
        shared.ok_or(())
    });
    if has_sharers.is_ok() {
        return empty(process, range);
    }
    let wiped: Result<(), Errno> = in_turns(range, |rest| {
        Ok(space.with(|inner| {
            let part = inner.first_turn(rest);
            inner.table.wipe(part);
            part
        }))
    });
    wiped
}

/// Has `turn` do a part of `range` after the other, under a lock of its own; it is given what is left of it, and
/// returns the part that it has done. Linux and other threads have their turns in between.
///
/// # Errors
///
/// That of `turn`.
pub fn in_turns<E>(range: Range, mut turn: impl FnMut(Range) -> Result<Range, E>) -> Result<(), E> {
    let mut rest = range;
    while !rest.is_empty() {
        rest.start = turn(rest)?.end;
        sched::breathe();
    }
    Ok(())
}
