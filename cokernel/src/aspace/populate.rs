// SPDX-License-Identifier: GPL-2.0
//! Memory for areas: the largest pages that fit, zeroed, at once or at the first touch.

use cokernel_logic::frames::{Place, BLOCKS_PER_GIANT, FRAMES_PER_BLOCK};
use cokernel_logic::policy::Policy;
use cokernel_logic::vma::{Attributes, Kind, Protection, Range};
use ihk_ikc::layout::LARGE_PAGE_BYTES;

use crate::addr::{large_down, page_down, to_usize};
use crate::arch::pte::PageSize;
use crate::aspace::space::{flags_of, AddressSpace, Inner};
use crate::errno::Errno;
use crate::frames::owned::OwnedRun;
use crate::frames::watermark::has_room_for;
use crate::frames::{allocator, page_cache, pinned};
use crate::{arch, ikc};

/// The number of bytes that are filled in one go.
const BREATH_BYTES: u64 = 256 << 10;

/// On whose behalf memory is filled.
#[derive(Clone, Copy)]
pub struct Asker {
    /// The policy of areas that have none of their own.
    pub policy: Policy,
    /// Whether it still wants what takes long.
    pub goes_on: fn() -> bool,
}

/// Fills `range` of an area with zeroed pages. In between it shows that it lives and serves Linux,
/// because clearing gigabytes takes longer than Linux waits for an answer.
///
/// # Errors
///
/// `ENOMEM`: memory ran out; what is there stays, the rest can come by demand.
pub fn populate(
    space: &AddressSpace,
    range: Range,
    protection: Protection,
    asker: &Asker,
) -> Result<(), Errno> {
    let mut at = range.start;
    while at < range.end {
        at = match fill_run(space, at, range, protection, asker) {
            Some(next) => next,
            None => fill(space, at, range, protection, asker)?,
        };
        if at % BREATH_BYTES == 0 {
            ikc::breathe();
        }
    }
    Ok(())
}

/// Fills those pages of areas of `kind` that are not there, and come from no file, with zeroes. What
/// cannot come now comes at the first touch, or fails there.
pub fn fill_gaps(space: &AddressSpace, kind: Kind, asker: &Asker) {
    let areas = space.with(|inner| inner.areas.parts(space.window));
    let is_empty = |what: &Attributes| what.kind == kind && what.source == 0;
    for area in areas.iter().filter(|area| is_empty(&area.attributes)) {
        let mut at = area.range.start;
        while at < area.range.end {
            let next = space.with(|inner| inner.table.next_mapping(at, area.range.end));
            let end = area.range.end;
            let (start, behind) = next.map_or((end, end), |(address, page)| {
                (address, address + page.size.bytes())
            });
            let gap = Range {
                start: at,
                end: start,
            };
            let _ = populate(space, gap, area.attributes.protection, asker);
            at = behind;
        }
    }
}

/// Fills `range`, whole large pages, with large pages, or still larger ones.
///
/// # Errors
///
/// `ENOMEM`: there are not as many; some may be there.
pub fn populate_large(
    space: &AddressSpace,
    range: Range,
    what: &Attributes,
    asker: &Asker,
) -> Result<(), Errno> {
    let mut at = range.start;
    while at < range.end {
        let policy = space.with(|inner| inner.policy_of(what, asker.policy));
        let page =
            alloc_giant(space, at, range, &policy, asker).or_else(|| alloc_large(at, &policy));
        let page = page.ok_or(Errno::ENOMEM)?;
        let bytes = page.size().bytes();
        let placed = space.with(|inner| inner.place(at, page, what.protection));
        placed.map_err(|_| Errno::ENOMEM)?;
        at += bytes;
        ikc::breathe();
    }
    Ok(())
}

fn alloc_large(at: u64, policy: &Policy) -> Option<OwnedRun> {
    let size = PageSize::Large;
    let place = policy.place(arch::cpu_node(), at / size.bytes());
    if !has_room_for(size.bytes()) {
        return None;
    }
    let whole = || allocator::alloc_zeroed_run_at(FRAMES_PER_BLOCK, place);
    // Pages of files that nobody has mapped may be what breaks the last blocks.
    let reclaimed = || page_cache::reclaim_all().then(whole).flatten();
    whole().or_else(reclaimed)
}

/// The node that the page at `at` shall come from: smaller pages of a near one are better than one page of
/// a far one.
fn nearest(policy: &Policy, at: u64) -> Place {
    let place = policy.place(arch::cpu_node(), at / PageSize::Giant.bytes());
    match place.allowed & 1u64.checked_shl(place.near).unwrap_or(0) {
        0 => place,
        near => Place {
            allowed: near,
            ..place
        },
    }
}

/// A zeroed page of 1 GiB for `at`, if one fits there within `range`, nothing is there yet, and memory
/// has one. Clearing it takes a while: nothing is locked, and Linux is served in between.
fn alloc_giant(
    space: &AddressSpace,
    at: u64,
    range: Range,
    policy: &Policy,
    asker: &Asker,
) -> Option<OwnedRun> {
    let size = PageSize::Giant;
    let fits = at % size.bytes() == 0 && range.end - at >= size.bytes();
    if !fits || policy.spreads_pages() || !has_room_for(size.bytes()) {
        return None;
    }
    let whole = Range {
        start: at,
        end: at + size.bytes(),
    };
    if space.with(|inner| inner.has_pages(whole)) {
        return None;
    }
    let (mut page, giant) = allocator::alloc_giant_at(nearest(policy, at))?;
    if !has_room_for(0) {
        // Somebody else was promised the same.
        return None;
    }
    for index in 0..BLOCKS_PER_GIANT {
        let block = u64::from(index) * LARGE_PAGE_BYTES;
        for offset in (0..LARGE_PAGE_BYTES).step_by(to_usize(BREATH_BYTES)) {
            if !giant.is_zero(index) {
                page.zero_part(block + offset, BREATH_BYTES);
                ikc::breathe();
            }
        }
        if !(asker.goes_on)() {
            return None;
        }
    }
    Some(page)
}

/// Puts small pages, adjacent in memory, where no large one fits: up to the end of the block of 2 MiB,
/// but not more than one breath; where the next one goes. `None`: page by page.
fn fill_run(
    space: &AddressSpace,
    at: u64,
    range: Range,
    protection: Protection,
    asker: &Asker,
) -> Option<u64> {
    let large_fits = at % LARGE_PAGE_BYTES == 0 && range.end - at >= LARGE_PAGE_BYTES;
    let end = range
        .end
        .min(large_down(at) + LARGE_PAGE_BYTES)
        .min((at / BREATH_BYTES + 1) * BREATH_BYTES);
    let count = u32::try_from((end - at) / PageSize::Small.bytes()).ok()?;
    if large_fits || count < 2 || !has_room_for(end - at) {
        return None;
    }
    let policy = space.with(|inner| inner.policy_at(at, asker.policy));
    if policy.spreads_pages() {
        return None;
    }
    let place = policy.place(arch::cpu_node(), at / PageSize::Small.bytes());
    let run = allocator::alloc_zeroed_run_at(count, place)?;
    let flags = flags_of(protection);
    let placed = space.with(|inner| inner.table.map_run(at, run.into(), flags));
    placed.is_ok().then_some(end)
}

/// Puts a page at `at`; where the next one goes. Linux may touch the area before it is full, and
/// what came by demand then stays.
fn fill(
    space: &AddressSpace,
    at: u64,
    range: Range,
    protection: Protection,
    asker: &Asker,
) -> Result<u64, Errno> {
    let first = |size: PageSize| Range {
        start: at,
        end: range.end.min(at + size.bytes()),
    };
    let sizes = [PageSize::Giant, PageSize::Large, PageSize::Small];
    for within in sizes.map(first) {
        let (there, policy) =
            space.with(|inner| (inner.table.lookup(at), inner.policy_at(at, asker.policy)));
        if let Some(there) = there {
            let bytes = there.size.bytes();
            return Ok((at & !(bytes - 1)) + bytes);
        }
        let giant = alloc_giant(space, at, within, &policy, asker);
        let page = giant.or_else(|| alloc_for(at, within, &policy));
        let page = page.ok_or(Errno::ENOMEM)?;
        let bytes = page.size().bytes();
        if space
            .with(|inner| inner.place(at, page, protection))
            .is_ok()
        {
            return Ok(at + bytes);
        }
    }
    Err(Errno::ENOMEM)
}

/// Gives the page of `address`, which lies in an area that allows it, under the lock of `inner`. `default` is
/// the policy of areas that have none of their own.
///
/// # Errors
///
/// `ENOMEM`.
pub fn demand(
    inner: &mut Inner,
    address: u64,
    area: Range,
    what: &Attributes,
    default: Policy,
) -> Result<(), Errno> {
    let block = Range {
        start: large_down(address),
        end: large_down(address).saturating_add(LARGE_PAGE_BYTES),
    };
    let large = !what.small_pages
        && area.covers(&block)
        && !inner.has_pages(block)
        && has_room_for(block.bytes());
    let start = if large {
        block.start
    } else {
        page_down(address)
    };
    let within = if large {
        block
    } else {
        Range {
            start,
            end: start + PageSize::Small.bytes(),
        }
    };
    let page = alloc_for(start, within, &inner.policy_of(what, default)).ok_or(Errno::ENOMEM)?;
    // A small page may come instead of a large one; it must then be the one that was asked for.
    let start = if page.size() == PageSize::Large {
        start
    } else {
        page_down(address)
    };
    let placed = inner.place(start, page, what.protection);
    placed.map_err(|_| Errno::ENOMEM)
}

/// The largest zeroed page, but of 1 GiB, that may lie at `address` and stays within `range`.
fn alloc_for(address: u64, range: Range, policy: &Policy) -> Option<OwnedRun> {
    let place = |size: PageSize| policy.place(arch::cpu_node(), address / size.bytes());
    let large = PageSize::Large.bytes();
    let fits = address % large == 0 && range.end - address >= large;
    if fits && has_room_for(large) {
        let page = allocator::alloc_zeroed_run_at(FRAMES_PER_BLOCK, place(PageSize::Large));
        if page.is_some() {
            return page;
        }
    }
    let mut frame = alloc_frame(place(PageSize::Small))?;
    frame.zero();
    Some(frame)
}

/// A small frame from `place` with undefined contents, unless the kernel needs the rest.
pub fn alloc_frame(place: Place) -> Option<OwnedRun> {
    let bytes = PageSize::Small.bytes();
    let room = has_room_for(bytes) || pinned::recheck() && has_room_for(bytes);
    if !room {
        return None;
    }
    // There is room, but perhaps not where a policy wants it: pages of files may lie there.
    let frame = allocator::alloc_run_at(1, place);
    frame.or_else(|| {
        let freed = page_cache::reclaim_all();
        freed.then(|| allocator::alloc_run_at(1, place)).flatten()
    })
}
