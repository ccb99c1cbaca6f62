// SPDX-License-Identifier: GPL-2.0
//! mremap: grow in place if possible, else move the pages (never their contents).

use cokernel_logic::syscall::mremap::MremapArgs;
use cokernel_logic::vma::{Area, Attributes, Protection, Range};
use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::aspace::space::{flags_of, AddressSpace, Inner};
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::frames::extents::ExtentList;
use crate::frames::watermark;
use crate::mm::{file_mapping, mirror, proxy_rights, revoke, unmap};
use crate::process::limits;
use crate::syscall::madvise;
use crate::syscall::mmap::find_place;
use crate::task::current;
use crate::task::process::Process;

/// mremap(2).
pub fn mremap(frame: &mut UserFrame) -> SyscallResult {
    let args = MremapArgs::check(frame.args())?;
    let process = current::process();
    let space = &process.space;
    let _layout = space.lock_layout();
    let (target, area) = space.with(|inner| {
        let is_valid = |range| space.is_valid(range);
        let target = args.fixed.map(|it| args.target(it, &inner.areas, is_valid));
        Ok::<_, Errno>((target.transpose()?, args.source(&inner.areas)))
    })?;
    let area = match (area, target) {
        (Err(Errno::EFAULT), Some(new)) if args.may_move_several() => {
            return move_several(process, &args, new);
        }
        (area, _) => area?,
    };
    if mirror::is_mirrored(&area) && args.keeps_area {
        // Linux's own pages cannot leave an empty area behind.
        return Err(Errno::EINVAL);
    }
    check_growth(process, &area, args.growth())?;
    if let Some(new) = target {
        unmap::unmap(process, new)?;
        return relocate(process, &area, args.old, new, args.keeps_area);
    }
    if space.with(|inner| args.fits_in_place(&inner.areas, space.window, &area)) {
        return resize(process, &area, args.old, args.new_bytes);
    }
    if !args.may_move {
        return Err(Errno::ENOMEM);
    }
    let new = find_place(process, args.new_bytes)?;
    relocate(process, &area, args.old, new, args.keeps_area)
}

/// Moves several areas, and the holes between them, without a change of size.
fn move_several(process: &Process, args: &MremapArgs, new: Range) -> SyscallResult {
    let old = args.old;
    let areas = process.space.with(|inner| args.sources(&inner.areas))?;
    unmap::unmap(process, new)?;
    for area in areas {
        let start = new.start + (area.range.start - old.start);
        let target = Range {
            start,
            end: start + area.range.bytes(),
        };
        relocate(process, &area, area.range, target, false)?;
    }
    Ok(new.start)
}

/// Shrinks, or grows into the free range behind.
fn resize(process: &Process, area: &Area, old: Range, new_bytes: u64) -> SyscallResult {
    let end = old.start + new_bytes;
    if end < old.end {
        unmap::unmap(
            process,
            Range {
                start: end,
                end: old.end,
            },
        )?;
    } else if end > old.end && mirror::is_mirrored(area) {
        let new = Range {
            start: old.start,
            end,
        };
        return remap_file(process, area, old, new);
    } else if end > old.end {
        extend(
            process,
            area,
            Range {
                start: old.end,
                end,
            },
        )?;
    }
    Ok(old.start)
}

/// Whether `area` may become `bytes` longer.
fn check_growth(process: &Process, area: &Area, bytes: u64) -> Result<(), Errno> {
    limits::check_growth(process, bytes, &area.attributes)?;
    if area.attributes.locked {
        limits::check_locked(process, bytes).map_err(limits::at_mapping)?;
    }
    let what = &area.attributes;
    let at_once = what.protection.is_accessible() && !what.on_demand && what.source == 0;
    if at_once && !watermark::has_room_for(bytes) {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// Adds memory like that of `area` at `range`: zeroes, or the next part of the file.
fn extend(process: &Process, area: &Area, range: Range) -> Result<(), Errno> {
    let space = &process.space;
    let what = area.attributes;
    space.with(|inner| inner.add_area(range, what))?;
    if what.source != 0 {
        if what.locked {
            let _ = madvise::fill(process, range, false);
        }
    } else if what.protection.is_accessible() && (what.locked || !what.on_demand) {
        // A page that does not come now comes at the first touch, or fails there.
        let _ = populate::populate(space, range, what.protection, &current::asker(space));
    }
    proxy_rights::sync(space, range)
}

/// Moves what lies in `old` to `new`, which is free, and grows or shrinks it on the way.
fn relocate(
    process: &Process,
    area: &Area,
    old: Range,
    new: Range,
    keep_area: bool,
) -> SyscallResult {
    if mirror::is_mirrored(area) {
        return remap_file(process, area, old, new);
    }
    let kept = old.bytes().min(new.bytes());
    let (from, to) = (
        Range {
            start: old.start,
            end: old.start + kept,
        },
        Range {
            start: new.start,
            end: new.start + kept,
        },
    );
    if from.end < old.end {
        unmap::unmap(
            process,
            Range {
                start: from.end,
                end: old.end,
            },
        )?;
    }
    let area = move_pages(process, area, from, to, keep_area)?;
    if to.end < new.end {
        extend(
            process,
            &area,
            Range {
                start: to.end,
                end: new.end,
            },
        )?;
    }
    Ok(new.start)
}

/// Linux moves or grows its own mapping; the pages come from there again.
fn remap_file(process: &Process, area: &Area, old: Range, new: Range) -> SyscallResult {
    let space = &process.space;
    if space.owner() != process.handle {
        return Err(Errno::ENOMEM);
    }
    space.with(|inner| inner.check_split(old))?;
    let args = [old.start, old.bytes(), new.start, new.bytes(), 0, 0];
    delegate::ask(op::REMAP_FILE, args)?;
    space.with(|inner| inner.areas.remove(old));
    mirror::forget(space, old);
    space.with(|inner| {
        proxy_rights::record(inner, new, false);
        inner.add_area(new, area.attributes)
    })?;
    Ok(new.start)
}

/// Moves pages and what the area is otherwise; the new area. The pages appear at their new place out of
/// reach first: a frame must never be mapped twice, or Linux, asked about the old place, would miss the
/// new one.
fn move_pages(
    process: &Process,
    area: &Area,
    from: Range,
    to: Range,
    keep_area: bool,
) -> Result<Area, Errno> {
    let space = &process.space;
    let what = space.with(|inner| {
        inner.check_split(from)?;
        inner.cut_edges(from)?;
        let what = moved(inner, area, to.start.wrapping_sub(from.start))?;
        // Whoever touches what has moved already finds nothing, and waits for the layout.
        if keep_area {
            inner.areas.update(from, |what| Attributes {
                locked: false,
                ..what
            });
        } else {
            inner.areas.remove(from);
        }
        Ok::<_, Errno>(what)
    })?;
    let seen = match move_tables(space, from, to) {
        Ok(seen) => seen,
        Err(errno) => {
            move_back(space, area, from, to);
            return Err(errno);
        }
    };
    revoke::withdraw(process, from, seen);
    space.with(|inner| inner.add_area(to, what))?;
    give_rights(space, to, what.protection)?;
    file_mapping::forget_unused(process);
    proxy_rights::sync(space, to)?;
    Ok(Area {
        range: to,
        attributes: what,
    })
}

/// Moves the pages in `from` to `to`, out of reach; the frames that Linux may have mapped.
fn move_tables(space: &AddressSpace, from: Range, to: Range) -> Result<ExtentList, Errno> {
    let mut seen = ExtentList::default();
    unmap::in_turns(from, |rest| {
        space.with(|inner| {
            let part = inner.first_turn(rest);
            let target = to.start + (part.start - from.start);
            let out_of_reach = flags_of(Protection::default());
            let relocated = inner.table.relocate(part, target, out_of_reach);
            relocated.map_err(|_| Errno::ENOMEM)?;
            let there = Range {
                start: target,
                end: target + part.bytes(),
            };
            inner.add_exposed_frames(there, &mut seen);
            Ok::<_, Errno>(part)
        })
    })?;
    Ok(seen)
}

/// Undoes what [`move_tables`] has done before it failed: the old tables are still there.
fn move_back(space: &AddressSpace, area: &Area, from: Range, to: Range) {
    let out_of_reach = flags_of(Protection::default());
    let _: Result<(), Errno> = unmap::in_turns(to, |rest| {
        space.with(|inner| {
            let part = inner.first_turn(rest);
            let home = from.start + (part.start - to.start);
            // A page that has come to the old place meanwhile is newer than what it had.
            let _ = inner.table.relocate(part, home, out_of_reach);
            Ok(part)
        })
    });
    let attributes = area.attributes;
    // The area was there, and the rights of its pages come back with it or by faults.
    let _ = space.with(|inner| inner.add_area(from, attributes));
    let _ = give_rights(space, from, attributes.protection);
}

/// Gives the pages in `range` the rights of their area.
fn give_rights(space: &AddressSpace, range: Range, protection: Protection) -> Result<(), Errno> {
    unmap::in_turns(range, |rest| {
        space.with(|inner| {
            let part = inner.first_turn(rest);
            inner.set_rights(part, protection)?;
            Ok(part)
        })
    })
}

/// The attributes of `area` once it has moved by `distance`: pages that are not there come from the
/// same part of its file.
fn moved(inner: &mut Inner, area: &Area, distance: u64) -> Result<Attributes, Errno> {
    let what = area.attributes;
    let Some(source) = inner.source_of(&what) else {
        return Ok(what);
    };
    let source = inner.sources.add(source.moved(distance));
    Ok(Attributes {
        source: source.ok_or(Errno::ENOMEM)?,
        ..what
    })
}
