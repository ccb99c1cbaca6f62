// SPDX-License-Identifier: GPL-2.0
//! Pages of files for private mappings: what is kept is mapped at once; for the rest Linux is lent
//! frames that nobody else has, reads the file into them and says so. Only then are they mapped, and
//! kept for others if the file did not change meanwhile.
//!
//! ```text
//!  Linux (mcctrl/files/load.rs)            co-kernel
//!  BindFile(file, page, bytes) ──────────► the areas know it; kept ones: mapped
//!   … somebody touches a page that is not there ([`super::file_mapping`]) …
//!    the program: op LOAD_PAGES to its worker, which makes the ioctl of that name
//!    Linux, in the window: ResolveFault, answered by FaultInFile
//!  LoadPages(version, page, count) ──────► kept ones: mapped; frames for the others: a loan
//!  reads the file into them  ◄──────────── PagesLent(list)
//!  PagesRead(loan, count, kept) ─────────► kept or the process's own: mapped; the rest is free again
//!                            ◄──────────── PagesTaken
//! ```
//! A loan ends by `PagesRead` only, which mcctrl always sends: the process may be gone by then.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::sources::Source;
use cokernel_logic::vma::{Area, Kind};
use ihk_ikc::exposed;
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::MOST_LENT_PAGES;
use x86_64::PhysAddr;

use crate::addr::{count_of, is_page_aligned, large_down, page_count, to_usize};
use crate::arch::pte::{Flags, PageSize};
use crate::aspace::populate::alloc_frame;
use crate::aspace::space::{flags_of, AddressSpace, Inner};
use crate::errno::Errno;
use crate::frames::extents::run_of;
use crate::frames::page_cache::{self, single, Kept, NONE};
use crate::frames::watermark::{self, has_room_for};
use crate::frames::{allocator, pinned, refcount};
use crate::partition;
use crate::sync::SpinLock;
use crate::task::process;

/// An order of Linux, see `ToCokernel::LoadPages`.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Names the loan.
    pub token: u64,
    /// The process that gets the pages.
    pub process: ProcessHandle,
    /// The address of the first one.
    pub address: u64,
    /// The version of the file; 0: the pages are the process's alone.
    pub version: u64,
    /// Number of the first page in the file.
    pub page: u64,
    /// Their number.
    pub count: u32,
    /// The number of the file whose touched pages these are: they come only where no page is, and only to
    /// areas that have this file. 0: they were not touched but are wanted at once, in place of what is there.
    pub file: u32,
}

impl Order {
    /// Whether the pages may come to `area`.
    fn may_fill(&self, inner: &Inner, area: &Area) -> bool {
        let asked = Source::new(self.file, self.address, self.page, 0);
        let is_of = |source: Source| (source.file, source.base) == (asked.file, asked.base);
        takes_files(area)
            && (self.file == 0 || inner.source_of(&area.attributes).is_some_and(is_of))
    }
}

/// Frames that Linux reads into.
struct Loan {
    order: Order,
    /// A frame for each page; [`NONE`] where one was kept.
    frames: Vec<u32>,
    list: PhysAddr,
}

/// Nothing but the heap is locked under it.
static LOANS: SpinLock<Vec<Loan>> = SpinLock::new(Vec::new());
/// The number that [`pages_read`] returns.
static READ: AtomicU64 = AtomicU64::new(0);

/// Pages of files that Linux has read since boot.
pub fn pages_read() -> u64 {
    READ.load(Ordering::Relaxed)
}

/// Maps what is kept, and lends frames for the rest: where their list lies and its length; 0: there
/// is no rest.
///
/// # Errors
///
/// `EINVAL`, `ESRCH`: no such process; `EFAULT`: it has no file's pages there; `ENOMEM`.
pub fn lend(order: Order) -> Result<(PhysAddr, u32), Errno> {
    let process = process::find(order.process).ok_or(Errno::ESRCH)?;
    let ends = order.page.checked_add(order.count.into()).is_some();
    let bytes = u64::from(order.count) * PAGE_BYTES;
    let window = process.space.window;
    let fits = order.address >= window.start
        && order
            .address
            .checked_add(bytes)
            .is_some_and(|end| end <= window.end);
    let is_sane = (1..=MOST_LENT_PAGES).contains(&order.count) && is_page_aligned(order.address);
    if !ends || !fits || !is_sane {
        return Err(Errno::EINVAL);
    }
    if order.file != 0 {
        process.space.with(|inner| note_version(inner, &order))?;
    }
    let mut frames = vec![NONE; order.count as usize];
    if order.version != 0 {
        page_cache::look_up(order.version, order.page, &mut frames);
        map_all(&process.space, &order, &frames, true)?;
    }
    let is_missing = process.space.with(|inner| missing(inner, &order, &frames));
    if !is_missing.contains(&true) {
        return Ok((PhysAddr::zero(), 0));
    }
    let list = watermark::alloc_structure().ok_or(Errno::ENOMEM)?;
    let Some(frames) = borrow(&is_missing) else {
        allocator::free_small(list);
        return Err(Errno::ENOMEM);
    };
    for (word, &frame) in partition::page(list).iter().zip(&frames) {
        let lent = (frame != NONE).then(|| partition::frame_address(frame).as_u64());
        word.store(lent.unwrap_or(0), Ordering::Relaxed);
    }
    LOANS.lock().push(Loan {
        order,
        frames,
        list,
    });
    Ok((list, order.count))
}

/// The area at the order's address has the version that Linux knows now.
fn note_version(inner: &mut Inner, order: &Order) -> Result<(), Errno> {
    let area = inner.areas.find(order.address).ok_or(Errno::EFAULT)?;
    if !order.may_fill(inner, &area) {
        return Err(Errno::EFAULT);
    }
    let number = area.attributes.source;
    inner.sources.set_version(number, order.version);
    Ok(())
}

/// Returns for each page whether Linux must read it: those that have a frame in `kept` need not,
/// nor, if a file's pages come where none are, those that are there.
fn missing(inner: &Inner, order: &Order, kept: &[u32]) -> Vec<bool> {
    let is_free = |address| order.file == 0 || inner.table.lookup(address).is_none();
    let addresses = (order.address..).step_by(to_usize(PAGE_BYTES));
    let pages = kept.iter().zip(addresses);
    pages
        .map(|(&frame, address)| frame == NONE && is_free(address))
        .collect()
}

/// A new frame for each page of which `is_missing` says so, and none for the others. `None`: there are
/// not as many.
fn borrow(is_missing: &[bool]) -> Option<Vec<u32>> {
    let mut frames = vec![NONE; is_missing.len()];
    let mut at = 0;
    while at < is_missing.len() {
        let missing = is_missing[at..].iter().take_while(|missing| **missing);
        let missing = missing.count();
        if missing == 0 {
            at += 1;
            continue;
        }
        let Some((first, count)) = alloc_run(count_of(missing)) else {
            give_back(&frames);
            return None;
        };
        for (place, frame) in frames[at..].iter_mut().zip(first..first + count) {
            *place = frame;
        }
        at += count as usize;
    }
    Some(frames)
}

/// The first of `count` adjacent frames, or of one if there are no such.
fn alloc_run(count: u32) -> Option<(u32, u32)> {
    let run = has_room_for(u64::from(count) * PAGE_BYTES)
        .then(|| allocator::alloc_run(count))
        .flatten();
    let (frame, count) = match run {
        Some(frame) => (frame, count),
        None => (alloc_frame(allocator::here())?, 1),
    };
    Some((partition::frame_number(frame)?, count))
}

/// Frees frames that were lent and are not used.
fn give_back(frames: &[u32]) {
    for &frame in frames.iter().filter(|frame| **frame != NONE) {
        pinned::free_or_keep(single(frame));
    }
}

/// Linux has filled the first `count` pages of loan `token`, whose content others may share if
/// `kept`: maps them. The others are given back.
///
/// # Errors
///
/// `EINVAL`: there is no such loan; `ESRCH`: the process is gone; `EFAULT`, `ENOMEM`: some could not
/// be mapped.
pub fn take_back(token: u64, count: u32, kept: bool) -> Result<(), Errno> {
    let loan = {
        let mut loans = LOANS.lock();
        let index = loans.iter().position(|loan| loan.order.token == token);
        loans.swap_remove(index.ok_or(Errno::EINVAL)?)
    };
    allocator::free_small(loan.list);
    let order = loan.order;
    let (mut own, rest) = loan.frames.split_at((count.min(order.count)) as usize);
    give_back(rest);
    let read = own.iter().filter(|frame| **frame != NONE).count();
    READ.fetch_add(read as u64, Ordering::Relaxed);
    let (mut shared, mut private) = (vec![NONE; own.len()], own.to_vec());
    if kept && order.version != 0 {
        share_out(&order, &mut private, &mut shared);
    }
    own = &private;
    let Some(process) = process::find(order.process) else {
        release_all(&shared);
        give_back(own);
        return Err(Errno::ESRCH);
    };
    let mapped = map_all(&process.space, &order, &shared, true);
    mapped.and(map_all(&process.space, &order, own, false))
}

/// Moves the frames of `own` that are kept from now on to `shared`.
fn share_out(order: &Order, own: &mut [u32], shared: &mut [u32]) {
    for (page, (own, shared)) in (order.page..).zip(own.iter_mut().zip(shared)) {
        if *own == NONE {
            continue;
        }
        let kept = if watermark::has_room_for_structures(page_cache::STRUCTURE_BYTES) {
            page_cache::keep(order.version, page, *own)
        } else {
            Kept::No
        };
        match kept {
            Kept::New => *shared = core::mem::replace(own, NONE),
            Kept::There(other) => {
                give_back(&[*own]);
                (*own, *shared) = (NONE, other);
            }
            Kept::No => {}
        }
    }
}

fn release_all(frames: &[u32]) {
    for &frame in frames.iter().filter(|frame| **frame != NONE) {
        refcount::release(single(frame), pinned::free_or_keep);
    }
}

/// Maps each of `frames`, page after page, where `order` says. Shared ones are not writable until they
/// are copied. What cannot be mapped is given up.
///
/// # Errors
///
/// `EFAULT`, `ENOMEM`: some were not mapped.
pub fn map_all(
    space: &AddressSpace,
    order: &Order,
    frames: &[u32],
    is_shared: bool,
) -> Result<(), Errno> {
    let mut result = Ok(());
    let mut at = 0;
    while at < frames.len() {
        let rest = &frames[at..];
        if rest[0] == NONE {
            at += 1;
            continue;
        }
        let count = page_cache::adjacent(rest);
        let start = order.address + at as u64 * PAGE_BYTES;
        let map = |part: u64, frames: &[u32]| {
            space.with(|inner| map_some(space, inner, order, start + part, frames, is_shared))
        };
        result = result.and(map_run(&rest[..count], map));
        at += count;
    }
    result
}

/// Maps pages that the page cache has, in a fault, under the lock of `inner`. What cannot be mapped
/// is given up.
///
/// # Errors
///
/// `EFAULT`, `ENOMEM`: some were not mapped.
pub fn map_kept(
    space: &AddressSpace,
    inner: &mut Inner,
    order: &Order,
    frames: &[u32],
) -> Result<(), Errno> {
    let mut result = Ok(());
    let mut at = 0;
    while at < frames.len() {
        let rest = &frames[at..];
        let count = page_cache::adjacent(rest);
        let start = order.address + at as u64 * PAGE_BYTES;
        if rest[0] != NONE {
            let map = |part: u64, frames: &[u32]| {
                map_some(space, inner, order, start + part, frames, true)
            };
            result = result.and(map_run(&rest[..count], map));
        }
        at += count;
    }
    result
}

/// Has `map` map adjacent `frames`: it gets the distance from the first in bytes and the frames from
/// there on, and says how many it has mapped.
fn map_run(
    frames: &[u32],
    mut map: impl FnMut(u64, &[u32]) -> Result<usize, Errno>,
) -> Result<(), Errno> {
    let mut done = 0;
    let mut result = Ok(());
    while done < frames.len() {
        let rest = &frames[done..];
        match map(done as u64 * PAGE_BYTES, rest) {
            Ok(count) => done += count,
            Err(errno) => {
                release_all(&rest[..1]);
                result = Err(errno);
                done += 1;
            }
        }
    }
    result
}

/// Maps as many of `frames` as lie in one area and under one table, or the first one in place of a
/// page; how many. A file's pages give way to those that are there.
fn map_some(
    space: &AddressSpace,
    inner: &mut Inner,
    order: &Order,
    address: u64,
    frames: &[u32],
    is_shared: bool,
) -> Result<usize, Errno> {
    let area = inner.areas.find(address).ok_or(Errno::EFAULT)?;
    if !order.may_fill(inner, &area) {
        return Err(Errno::EFAULT);
    }
    let rights = flags_of(area.attributes.protection);
    let flags = Flags {
        write: rights.write && !is_shared,
        ..rights
    };
    let pa = partition::frame_address(frames[0]);
    let in_block = partition::in_block(frames[0]);
    let table_end = large_down(address) + PageSize::Large.bytes();
    let end = (address + frames.len() as u64 * PAGE_BYTES)
        .min(area.range.end)
        .min(table_end)
        .min(address + u64::from(in_block) * PAGE_BYTES);
    if order.file == 0 && inner.table.next_mapping(address, end).is_some() {
        replace(space, inner, address, pa, flags)?;
        return Ok(1);
    }
    let count = page_count(end - address);
    let give_up = |frame| release_all(partition::frame_number(frame).as_slice());
    inner
        .table
        .map_run(address, pa, count, flags, give_up)
        .map_err(|_| Errno::ENOMEM)?;
    Ok(count as usize)
}

/// Whether pages of a file may come to `area`.
pub fn takes_files(area: &Area) -> bool {
    let what = &area.attributes;
    matches!(what.kind, Kind::Segment | Kind::File) && !what.shared
}

/// Maps a page where one may be already, as where two segments of a program share one. What Linux
/// may have mapped stays.
fn replace(
    space: &AddressSpace,
    inner: &mut Inner,
    address: u64,
    pa: PhysAddr,
    flags: Flags,
) -> Result<(), Errno> {
    let Some(old) = inner.table.lookup(address) else {
        let mapped = inner.table.map(address, pa, PageSize::Small, flags);
        return mapped.map_err(|_| Errno::ENOMEM);
    };
    let run = run_of(&old).filter(|_| old.size == PageSize::Small);
    let run = run.ok_or(Errno::EFAULT)?;
    let is_seen = exposed::any_set(partition::exposed_bits(), run);
    if is_seen && !refcount::is_shared(&old) {
        return Err(Errno::EFAULT);
    }
    inner.table.replace(address, pa, flags);
    space.flush_page(address);
    refcount::release(run, pinned::free_or_keep);
    Ok(())
}
