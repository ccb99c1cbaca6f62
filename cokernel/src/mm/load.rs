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
use crate::frames::owned::OwnedRun;
use crate::frames::page_frames::PageFrames;
use crate::frames::shared::SharedRun;
use crate::frames::watermark::{self, has_room_for};
use crate::frames::{allocator, page_cache, refcount};
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
    /// A frame for each page, but where one was kept. Only Linux has them, too.
    frames: PageFrames,
    list: OwnedRun,
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
    let mut is_missing = vec![true; order.count as usize];
    if order.version != 0 {
        let kept = page_cache::look_up(order.version, order.page, order.count as usize);
        is_missing = kept.iter().map(|frame| frame.is_none()).collect();
        map_all(&process.space, &order, kept, true)?;
    }
    let space = &process.space;
    space.with(|inner| leave_out_present(inner, &order, &mut is_missing));
    if !is_missing.contains(&true) {
        return Ok((PhysAddr::zero(), 0));
    }
    let list = watermark::alloc_structure().ok_or(Errno::ENOMEM)?;
    let frames = borrow(&is_missing).ok_or(Errno::ENOMEM)?;
    for (word, frame) in list.words().iter().zip(frames.iter()) {
        let lent = frame.map(|frame| partition::frame_address(frame).as_u64());
        word.store(lent.unwrap_or(0), Ordering::Relaxed);
    }
    let start = list.start();
    LOANS.lock().push(Loan {
        order,
        frames,
        list,
    });
    Ok((start, order.count))
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

/// If a file's pages come where none are, Linux must not read for those that are there.
fn leave_out_present(inner: &Inner, order: &Order, is_missing: &mut [bool]) {
    let addresses = (order.address..).step_by(to_usize(PAGE_BYTES));
    for (is_missing, address) in is_missing.iter_mut().zip(addresses) {
        *is_missing &= order.file == 0 || inner.table.lookup(address).is_none();
    }
}

/// A new frame for each page of which `is_missing` says so, and none for the others. `None`: there are
/// not as many.
fn borrow(is_missing: &[bool]) -> Option<PageFrames> {
    let mut frames = PageFrames::none(is_missing.len());
    let mut at = 0;
    while at < is_missing.len() {
        let missing = is_missing[at..].iter().take_while(|missing| **missing);
        let missing = missing.count();
        if missing == 0 {
            at += 1;
            continue;
        }
        let run = alloc_run(count_of(missing))?;
        let count = run.run().count as usize;
        frames.put(at, run);
        at += count;
    }
    Some(frames)
}

/// `count` adjacent frames, or one if there are no such.
fn alloc_run(count: u32) -> Option<OwnedRun> {
    let run = has_room_for(u64::from(count) * PAGE_BYTES)
        .then(|| allocator::alloc_run(count))
        .flatten();
    run.or_else(|| alloc_frame(allocator::here()))
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
    drop(loan.list);
    let (order, mut own) = (loan.order, loan.frames);
    drop(own.split_off((count.min(order.count)) as usize));
    let read = own.iter().flatten().count();
    READ.fetch_add(read as u64, Ordering::Relaxed);
    let shared = if kept && order.version != 0 {
        share_out(&order, &mut own)
    } else {
        PageFrames::none(0)
    };
    let process = process::find(order.process).ok_or(Errno::ESRCH)?;
    let mapped = map_all(&process.space, &order, shared, true);
    mapped.and(map_all(&process.space, &order, own, false))
}

/// Takes those frames out of `own` that are kept from now on.
fn share_out(order: &Order, own: &mut PageFrames) -> PageFrames {
    let mut shared = PageFrames::none(own.len());
    for (at, page) in (0..own.len()).zip(order.page..) {
        let Some(frame) = own.take(at) else {
            continue;
        };
        if !watermark::has_room_for_structures(page_cache::STRUCTURE_BYTES) {
            own.put(at, frame);
            continue;
        }
        match page_cache::keep(order.version, page, frame) {
            Ok(kept) => shared.put(at, kept),
            Err(frame) => own.put(at, frame),
        }
    }
    shared
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
    frames: PageFrames,
    is_shared: bool,
) -> Result<(), Errno> {
    map_each(order, frames, |address, run| {
        space.with(|inner| map_some(inner, order, address, run, is_shared))
    })
}

/// Maps pages that the page cache has, in a fault, under the lock of `inner`. What cannot be mapped
/// is given up.
///
/// # Errors
///
/// `EFAULT`, `ENOMEM`: some were not mapped.
pub fn map_kept(inner: &mut Inner, order: &Order, frames: PageFrames) -> Result<(), Errno> {
    map_each(order, frames, |address, run| {
        map_some(inner, order, address, run, true)
    })
}

/// Has `map` map the frames of `frames`: it gets an address, and the adjacent frames for there on, of
/// which it takes some.
fn map_each(
    order: &Order,
    mut frames: PageFrames,
    mut map: impl FnMut(u64, &mut SharedRun) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut result = Ok(());
    let mut at = 0;
    while let Some((page, mut run)) = frames.take_from(at) {
        let count = run.run().count;
        at = page + count as usize;
        let mut address = order.address + page as u64 * PAGE_BYTES;
        while run.run().count != 0 {
            let before = run.run().count;
            result = result.and(map(address, &mut run));
            address += u64::from(before - run.run().count) * PAGE_BYTES;
        }
    }
    result
}

/// Maps as many frames of `run` as lie in one area and under one table, or the first one in place of a
/// page, and takes them out. A file's pages give way to those that are there.
///
/// # Errors
///
/// `EFAULT`, `ENOMEM`: what was taken out is given up.
fn map_some(
    inner: &mut Inner,
    order: &Order,
    address: u64,
    run: &mut SharedRun,
    is_shared: bool,
) -> Result<(), Errno> {
    let area = inner.areas.find(address);
    let Some(area) = area.filter(|area| order.may_fill(inner, area)) else {
        drop(run.split_front(1));
        return Err(Errno::EFAULT);
    };
    let rights = flags_of(area.attributes.protection);
    let flags = Flags {
        write: rights.write && !is_shared,
        ..rights
    };
    let in_block = partition::in_block(run.run().first);
    let table_end = large_down(address) + PageSize::Large.bytes();
    let end = (address + u64::from(run.run().count.min(in_block)) * PAGE_BYTES)
        .min(area.range.end)
        .min(table_end);
    if order.file == 0 && inner.table.next_mapping(address, end).is_some() {
        return replace(inner, address, run.split_front(1), flags);
    }
    let count = page_count(end - address);
    let mapped = inner.table.map_run(address, run.split_front(count), flags);
    mapped.map_err(|_| Errno::ENOMEM)
}

/// Whether pages of a file may come to `area`.
pub fn takes_files(area: &Area) -> bool {
    let what = &area.attributes;
    matches!(what.kind, Kind::Segment | Kind::File) && !what.shared
}

/// Maps a page where one may be already, as where two segments of a program share one. What Linux
/// may have mapped stays.
fn replace(inner: &mut Inner, address: u64, frame: SharedRun, flags: Flags) -> Result<(), Errno> {
    let Some(old) = inner.table.lookup(address) else {
        let mapped = inner.table.map(address, frame, flags);
        return mapped.map_err(|_| Errno::ENOMEM);
    };
    let run = run_of(&old).filter(|_| old.size == PageSize::Small);
    let run = run.ok_or(Errno::EFAULT)?;
    let is_seen = exposed::any_set(partition::exposed_bits(), run);
    if is_seen && !refcount::is_shared(&old) {
        return Err(Errno::EFAULT);
    }
    let replaced = inner.table.replace(address, frame, flags);
    replaced.map_err(|_| Errno::EFAULT)
}
