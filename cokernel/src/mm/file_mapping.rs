// SPDX-License-Identifier: GPL-2.0
//! Private mappings that know their file: pages come when they are touched, kept ones without a word
//! to Linux, the others through [`crate::mm::load`]. Linux keeps the file open under a number
//! (`mcctrl/files/mapped.rs`) until no area of the address space has it any more.
//!
//! A page that is not there can come at any time, also after `madvise` or `mremap` made room for it; a
//! page that is there is never touched by that, as it may have been written.

use cokernel_logic::sources::Source;
use cokernel_logic::vma::{Area, Attributes, Range};
use ihk_ikc::packet::ToLinux;
use ihk_ikc::process::{op, MOST_LENT_PAGES};

use crate::addr::{count_of, page_count, page_down};
use crate::aspace::space::{AddressSpace, Inner};
use crate::errno::Errno;
use crate::frames::page_cache;
use crate::mm::load::{self, Order};
use crate::mm::mirror;
use crate::task::process::Process;
use crate::{delegate, ikc};

/// Kept pages are mapped in aligned blocks of so much around the one that is touched.
const KEPT_BLOCK_BYTES: u64 = 256 << 10;
/// Others are read in aligned blocks of so much.
const READ_BLOCK_BYTES: u64 = 64 << 10;

/// Pages that Linux must load before a touched one is there.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Number of the file.
    pub file: u32,
    /// Number of the first page in the file.
    pub page: u64,
    /// The address it goes to.
    pub address: u64,
    /// Their number.
    pub count: u32,
    /// The index of the touched one.
    pub touched: u32,
}

impl Wanted {
    /// Whether `other` was touched at the same page of the same file.
    pub fn is_same_page(&self, other: &Self) -> bool {
        let touched = |it: &Self| (it.file, it.page.wrapping_add(it.touched.into()));
        touched(self) == touched(other)
    }
}

/// From now on the pages of `range`, where none may be yet, come from `source`. Maps the first ones
/// that are kept; how many are there, from the first on.
///
/// # Errors
///
/// `EINVAL`: it is not whole pages of the window; `EFAULT`: not all of it takes a file's pages;
/// `EEXIST`: there are pages; `ENOMEM`. Nothing was changed.
pub fn bind(process: &Process, range: Range, source: Source) -> Result<u32, Errno> {
    let space = &process.space;
    if !space.is_valid(range) || source.file == 0 {
        return Err(Errno::EINVAL);
    }
    space.with(|inner| {
        let takes_it = |area: &Area| load::takes_files(area) && area.attributes.source == 0;
        if !inner.areas.is_covered(range) || !inner.areas.parts(range).iter().all(takes_it) {
            return Err(Errno::EFAULT);
        }
        if inner.has_pages(range) {
            return Err(Errno::EEXIST);
        }
        inner.check_split(range)?;
        let number = inner.sources.add(source).ok_or(Errno::ENOMEM)?;
        let with_source = |what| Attributes {
            source: number,
            ..what
        };
        inner.areas.update(range, with_source);
        Ok(())
    })?;
    let pages = page_count(range.bytes()).min(MOST_LENT_PAGES);
    let order = order_of(&source, range.start, pages);
    let frames = page_cache::look_up(source.version, order.page, pages as usize);
    let there = frames.iter().take_while(Option::is_some).count();
    // A page that could not be mapped now comes when it is touched.
    let mapped = load::map_all(space, &order, frames, true);
    Ok(mapped.map_or(0, |()| count_of(there)))
}

fn order_of(source: &Source, address: u64, pages: u32) -> Order {
    Order {
        token: 0,
        process: 0,
        address,
        version: source.version,
        page: source.page_at(address),
        count: pages,
        file: source.file,
    }
}

/// Maps the page of `address`, in `area` of `source`, where none is, and its neighbours, if they are
/// kept. Under the lock of `inner`.
///
/// # Errors
///
/// The pages that Linux must load.
pub fn map_kept(
    inner: &mut Inner,
    address: u64,
    area: &Area,
    source: &Source,
) -> Result<(), Wanted> {
    if source.version != 0 {
        let block = block_around(address, KEPT_BLOCK_BYTES, area);
        let order = order_of(source, block.start, page_count(block.bytes()));
        let frames = page_cache::look_up(source.version, order.page, order.count as usize);
        // Without room for a table there is no page afterwards, and Linux's answer tells why.
        let _ = load::map_kept(inner, &order, frames);
        if inner.table.lookup(address).is_some() {
            return Ok(());
        }
    }
    let block = block_around(address, READ_BLOCK_BYTES, area);
    Err(Wanted {
        file: source.file,
        page: source.page_at(block.start),
        address: block.start,
        count: page_count(block.bytes()),
        touched: page_count(page_down(address) - block.start),
    })
}

/// The aligned block of `bytes` around `address`, as far as it lies in `area`.
fn block_around(address: u64, bytes: u64, area: &Area) -> Range {
    let start = address & !(bytes - 1);
    let block = Range {
        start,
        end: start.saturating_add(bytes),
    };
    block.clip(&area.range)
}

/// Has Linux load `wanted` for the current process. Waits for Linux: called without any lock but that
/// of the layout.
///
/// # Errors
///
/// `EFAULT`: the file ends before the page, it cannot be read, or the caller must not wait; `ENOMEM`.
pub fn fetch(process: &Process, wanted: &Wanted) -> Result<(), Errno> {
    if mirror::must_not_wait() || process.is_dying() {
        return Err(Errno::EFAULT);
    }
    let args = [
        wanted.address,
        u64::from(wanted.count),
        u64::from(wanted.file),
        wanted.page,
        u64::from(wanted.touched),
        0,
    ];
    match delegate::ask(op::LOAD_PAGES, args) {
        Ok(_) => Ok(()),
        // The access is made again, and with it this question, after whatever interrupted us.
        Err(Errno::EINTR | Errno::EAGAIN) if !process.is_dying() => Ok(()),
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
        Err(_) => Err(Errno::EFAULT),
    }
}

/// Pages of `area` that come from now on are those the file has now, not those it had when it was
/// mapped.
pub fn look_anew(space: &AddressSpace, area: &Area) {
    space.with(|inner| inner.sources.set_version(area.attributes.source, 0));
}

/// Has Linux close the files that areas of `process` had and have no more. The caller holds the layout
/// lock: a child that is being made may have them still.
pub fn forget_unused(process: &Process) {
    for file in process.space.with(Inner::take_unused_files) {
        ikc::send(&ToLinux::ForgetFile {
            process: process.space.owner(),
            file,
        });
    }
}
