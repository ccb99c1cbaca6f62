// SPDX-License-Identifier: GPL-2.0
//! The address space of a child of fork: the same areas and, until somebody writes, the same
//! frames. The caller holds the parent's layout lock.
//!
//! Page by page both sides lose the right to write a private page and its frame is counted once more;
//! pages of 1 GiB are cut for that. Then the parent's translations and Linux's mappings go. What Linux
//! has pinned is copied for the child at once: otherwise the parent's next write would move the parent
//! away from the transfer.

use alloc::sync::Arc;

use cokernel_logic::vma::{Area, Attributes, Marks, Range};
use ihk_ikc::exposed;

use crate::addr::to_usize;
use crate::arch::pte::{Flags, PageSize};
use crate::aspace::space::{AddressSpace, Inner};
use crate::aspace::{cow, populate};
use crate::errno::Errno;
use crate::frames::extents::{run_of, ExtentList};
use crate::frames::watermark;
use crate::mm::{mirror, revoke};
use crate::partition;
use crate::task::current;
use crate::task::process::Process;
use crate::task::sched;

/// Heap that a copied area takes at most, in bytes.
const BYTES_PER_AREA: u64 = 256;
/// Pages handled under one hold of the parent's lock.
const PAGES_AT_ONCE: u32 = 128;

/// Copies `process`'s address space for a child of fork; the pages are shared until one of them
/// writes (COW).
///
/// # Errors
///
/// `ENOMEM`; the parent goes on, its pages come back by faults.
pub fn copy_address_space(process: &Process) -> Result<AddressSpace, Errno> {
    let parent = &process.space;
    let areas = parent.with(|inner| inner.areas.len());
    if !watermark::has_room_for_structures(areas as u64 * BYTES_PER_AREA) {
        return Err(Errno::ENOMEM);
    }
    let child = AddressSpace::new(0, parent.window.start, parent.mmap_top).ok_or(Errno::ENOMEM)?;
    fill_shared_areas(parent)?;
    let done = copy_areas(parent, &child).and_then(|seen| {
        parent.flush(parent.window);
        if !seen.is_empty() {
            revoke::withdraw(process, parent.window, seen);
            copy_pinned(&child)?;
        }
        Ok(())
    });
    match done {
        Ok(()) => Ok(child),
        Err(errno) => {
            parent.flush(parent.window);
            Err(errno)
        }
    }
}

/// Makes all shared pages present: a page that came later would be each side's own.
fn fill_shared_areas(parent: &AddressSpace) -> Result<(), Errno> {
    let areas = parent.with(|inner| inner.areas.parts(parent.window));
    let is_shared = |area: &&Area| {
        let what = &area.attributes;
        what.shared && what.protection.is_accessible() && !mirror::is_mirrored(area)
    };
    for area in areas.iter().filter(is_shared) {
        populate::populate(
            parent,
            area.range,
            area.attributes.protection,
            &current::asker(parent),
        )?;
    }
    Ok(())
}

/// Areas and pages; the frames that Linux may have mapped writable.
fn copy_areas(parent: &AddressSpace, child: &AddressSpace) -> Result<ExtentList, Errno> {
    let areas = parent.with(|inner| {
        let mut areas = inner.areas.clone();
        let omitted = areas.parts(parent.window);
        for area in omitted
            .iter()
            .filter(|area| area.attributes.omitted_by_fork)
        {
            areas.remove(area.range);
        }
        // Nothing is locked in a child, and what is wiped has no guards.
        areas.update(parent.window, |what| Attributes {
            locked: false,
            marks: if what.marks.has(Marks::WIPED_BY_FORK) {
                what.marks.with(Marks::GUARDED, false)
            } else {
                what.marks
            },
            ..what
        });
        child.with(|copy| {
            copy.areas = areas.clone();
            copy.proxy_read_only = inner.proxy_read_only.clone();
            copy.attached = inner.attached.clone();
            (copy.break_start, copy.break_now) = (inner.break_start, inner.break_now);
            copy.keys = inner.keys;
            (copy.stack_limit, copy.space_limit) = (inner.stack_limit, inner.space_limit);
            copy.policies = inner.policies.clone();
            copy.sources = inner.sources.clone();
        });
        areas
    });
    let mut seen = ExtentList::default();
    for area in areas.iter() {
        // Mirrored pages come to the child by its own faults.
        if area.attributes.marks.has(Marks::WIPED_BY_FORK) || mirror::is_mirrored(&area) {
            continue;
        }
        let mut at = area.range.start;
        while at < area.range.end {
            at = parent.with(|inner| copy_pages(inner, child, &area, at, &mut seen))?;
            // Linux may be waiting for a page meanwhile.
            sched::breathe();
        }
    }
    Ok(seen)
}

/// Copies some pages of `area` from `at` on; where to go on.
fn copy_pages(
    parent: &mut Inner,
    child: &AddressSpace,
    area: &Area,
    at: u64,
    seen: &mut ExtentList,
) -> Result<u64, Errno> {
    // A page that reaches beyond the area would be copied with its neighbour's rights.
    parent.cut_edges(area.range)?;
    let first = parent.table.lookup(at);
    if first.is_some_and(|page| page.size == PageSize::Giant) {
        // Counting so many frames at once would take too long under the lock.
        parent.table.split(at).map_err(|_| Errno::ENOMEM)?;
    }
    let rest = Range {
        start: at,
        end: area.range.end,
    };
    let private = !area.attributes.shared;
    child.with(|copy| {
        let table = &mut parent.table;
        table.share_each(rest, PAGES_AT_ONCE, |address, page, share| {
            let flags = Flags {
                write: page.flags.write && !private,
                ..page.flags
            };
            let mapped = match share.map_err(|_| Errno::ENOMEM)? {
                Some(share) => copy.table.map(address, share, flags),
                None => copy.table.map_foreign(address, page.pa, flags),
            };
            mapped.map_err(|_| Errno::ENOMEM)?;
            if private && page.flags.write {
                seen.add_if_exposed(page);
            }
            Ok(flags)
        })
    })
}

/// Gives the child copies of what Linux still holds of the parent's writable pages. After the withdrawal
/// nothing of these is mapped for this address space: a frame whose exposed bit is still set is pinned,
/// or another process that shares it has it mapped. Either way a copy is safe.
fn copy_pinned(child: &AddressSpace) -> Result<(), Errno> {
    let areas = child.with(|inner| inner.areas.parts(child.window));
    let is_copied = |area: &&Area| area.attributes.protection.write && !area.attributes.shared;
    for area in areas.iter().filter(is_copied) {
        let mut at = area.range.start;
        while at < area.range.end {
            at = child.with(|inner| copy_pinned_in(child, inner, area, at))?;
            sched::breathe();
        }
    }
    Ok(())
}

/// Does so with some pages of `area` from `at` on; where to go on.
fn copy_pinned_in(
    child: &AddressSpace,
    inner: &mut Inner,
    area: &Area,
    mut at: u64,
) -> Result<u64, Errno> {
    for _ in 0..PAGES_AT_ONCE {
        let Some((address, mapping)) = inner.table.next_mapping(at, area.range.end) else {
            return Ok(area.range.end);
        };
        at = address + mapping.size.bytes();
        let held =
            run_of(&mapping).is_some_and(|run| exposed::any_set(partition::exposed_bits(), run));
        if held {
            inner.table.split(address).map_err(|_| Errno::ENOMEM)?;
            copy_small_pinned(
                child,
                inner,
                area,
                Range {
                    start: address,
                    end: at,
                },
            )?;
        }
    }
    Ok(at)
}

/// Does so with the small pages in `range`.
fn copy_small_pinned(
    child: &AddressSpace,
    inner: &mut Inner,
    area: &Area,
    range: Range,
) -> Result<(), Errno> {
    for small in (range.start..range.end).step_by(to_usize(ihk_ikc::layout::PAGE_BYTES)) {
        let Some(page) = inner.table.lookup(small) else {
            continue;
        };
        let pinned =
            run_of(&page).is_some_and(|run| exposed::any_set(partition::exposed_bits(), run));
        if pinned {
            cow::replace(
                inner,
                small,
                &page,
                area.attributes.protection,
                current::policy_in(child),
            )?;
        }
    }
    Ok(())
}

/// The address space a child of vfork shares with its parent.
pub fn share_with_child(process: &Process) -> Arc<AddressSpace> {
    process.space.add_user();
    process.space.clone()
}
