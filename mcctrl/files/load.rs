// SPDX-License-Identifier: GPL-2.0
//! BIND_FILE, LOAD_PAGES: a program gets pages with a file's content, all at once or when they are
//! touched. What the co-kernel has kept of the file as it is now, it maps itself; for other pages
//! it lends frames that no program has, and gets them back filled (drawn in the co-kernel's
//! `mm/load.rs`). Nothing is ever read into memory that a program or a proxy can reach: kept pages
//! are seen by others, and must hold what the file holds.

use crate::ffi::errno;
use crate::ffi::page::PageRef;
use crate::ffi::source::{Source, State};
use crate::ffi::task;
use crate::ffi::wait::Until;
use crate::process::answer::FilePages;
use crate::process::image::within;
use crate::process::proxy::Proxy;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES, WINDOW_END};
use crate::proto::packet::ToCokernel;
use crate::proto::process::MOST_LENT_PAGES;
use crate::proto::uapi::FileRange;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use kernel::{
    prelude::*,
    time::{delay::fsleep, Delta},
};

/// The number of times that the end of a loan is told again if there is no room for the question.
const MOST_TRIES: u32 = 1000;
/// Pause before the next try.
const TRY_AGAIN: Delta = Delta::from_millis(10);

/// Some pages of an order, loaded together.
struct Part {
    address: u64,
    /// The offset in the file.
    offset: u64,
    pages: u32,
    /// Bytes wanted of the file; less than the pages hold only for a last page.
    bytes: u64,
    /// Number of the content, from [`FileVersions`](crate::files::versions::FileVersions); 0: not
    /// to be shared.
    version: u64,
    /// The number of the file whose touched pages these are: they come only where no page is, and
    /// only to areas that have this file. 0: not touched but wanted at once, in place of what is there.
    file: u32,
}

/// Frames for a part.
struct Loan {
    token: u64,
    /// A physical address for each page; 0: it is there.
    list: KVec<u64>,
}

/// Adjacent frames in one folio, which stay where they are until the value is dropped.
struct Target {
    memory: NonNull<u8>,
    bytes: usize,
    _pin: PageRef,
}

/// The way in which a file is read.
#[derive(Clone, Copy)]
enum Reading {
    /// As a call of a program.
    Call,
    /// Page by page, in a fault of Linux's.
    Fault,
}

/// Carries out `order`; errors as [`crate::proto::uapi::BIND_FILE`] says.
pub(crate) fn bind_file(proxy: &Proxy, order: &FileRange) -> Result {
    check(proxy, order)?;
    let source = Source::open(order.fd)?;
    let pages = order.bytes.div_ceil(PAGE_BYTES);
    let (there, file) = match bind(proxy, order, &source, pages)? {
        None => (0, 0),
        Some((there, file)) if order.detail != 0 => (there, file),
        // The others come when they are touched, but what a last page has beyond the order is zero.
        Some((_, file)) => (order.bytes / PAGE_BYTES, file),
    };
    let mut done = there.min(pages).saturating_mul(PAGE_BYTES);
    while done < order.bytes {
        if task::fatal_signal_pending() {
            return Err(EINTR);
        }
        let state = source.state()?;
        let Some(part) = next_part(proxy, order, file, done, &state)? else {
            break;
        };
        load(proxy, &source, &state, &part, Reading::Call)?;
        done = done.saturating_add(u64::from(part.pages) * PAGE_BYTES);
    }
    Ok(())
}

fn check(proxy: &Proxy, order: &FileRange) -> Result {
    let ends = order.file_offset.checked_add(order.bytes).is_some();
    let window = (proxy.window_start, WINDOW_END);
    let aligned = (order.address | order.file_offset) % PAGE_BYTES == 0;
    if ends && aligned && within(order.address, order.bytes, window) {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// Has the co-kernel note where `pages` pages come from: how many are there already, and the number
/// of the file. `None`: they must all come now, because of the file or of what is there.
fn bind(
    proxy: &Proxy,
    order: &FileRange,
    source: &Source,
    pages: u64,
) -> Result<Option<(u64, u32)>> {
    if !source.has_page_cache() || pages == 0 {
        return Ok(None);
    }
    let version = version_of(proxy, &source.state()?)?;
    let files = proxy.files()?;
    let file = files.add(source.clone())?;
    let question = |token| ToCokernel::BindFile {
        token,
        process: proxy.handle(),
        address: order.address,
        bytes: pages.saturating_mul(PAGE_BYTES),
        file,
        page: order.file_offset / PAGE_BYTES,
        version,
    };
    let asked = proxy.instance.ask(proxy.cpu(), Until::Condition, question);
    let bound = asked.and_then(|answer| answer.into_result().map(|()| answer.words));
    match bound {
        Ok(there) => Ok(Some((there.into(), file))),
        Err(error) => {
            files.remove(file);
            if error == EEXIST {
                Ok(None)
            } else {
                Err(error)
            }
        }
    }
}

/// Loads pages that the program has touched; errors as [`crate::proto::uapi::LOAD_PAGES`] says.
pub(crate) fn load_pages(proxy: &Proxy, order: &FileRange) -> Result {
    check(proxy, order)?;
    let pages = FilePages {
        file: u32::try_from(order.fd).map_err(|_| EINVAL)?,
        page: order.file_offset / PAGE_BYTES,
        address: order.address,
        count: u32::try_from(order.bytes / PAGE_BYTES).map_err(|_| EINVAL)?,
        touched: order.detail,
    };
    let source = proxy.files()?.get(pages.file).ok_or(EFAULT)?;
    let state = source.state()?;
    load_touched(proxy, &source, &state, &pages, Reading::Call)
}

/// Loads pages that Linux has touched in the window, whatever locks the task holds.
pub(crate) fn load_in_fault(proxy: &Proxy, pages: &FilePages) -> Result {
    let source = proxy.files()?.get(pages.file).ok_or(EFAULT)?;
    let state = source.state_in_fault()?;
    load_touched(proxy, &source, &state, pages, Reading::Fault)
}

fn load_touched(
    proxy: &Proxy,
    source: &Source,
    state: &State,
    pages: &FilePages,
    reading: Reading,
) -> Result {
    match load_block(proxy, source, state, pages, reading) {
        // A neighbour may be to blame, which cannot be read, or was unmapped meanwhile.
        Err(error) if pages.count > 1 && error != EINTR => {
            load_block(proxy, source, state, &pages.only_touched(), reading)
        }
        result => result,
    }
}

fn load_block(
    proxy: &Proxy,
    source: &Source,
    state: &State,
    pages: &FilePages,
    reading: Reading,
) -> Result {
    let in_file = state.size.div_ceil(PAGE_BYTES).saturating_sub(pages.page);
    if in_file <= pages.touched.into() {
        return Err(EFAULT);
    }
    let count = in_file.min(pages.count.clamp(1, MOST_LENT_PAGES).into());
    let part = Part {
        address: pages.address,
        offset: pages.page.checked_mul(PAGE_BYTES).ok_or(EINVAL)?,
        pages: count as u32,
        bytes: count * PAGE_BYTES,
        version: version_of(proxy, state)?,
        file: pages.file,
    };
    load(proxy, source, state, &part, reading)
}

/// Returns what to load when `done` bytes of `order` are there; `None` past the end of the file.
/// Whole pages of `file`, if it has a number, leave those alone that are there: another thread may
/// have touched, and written, them already. A page that is wanted in part belongs to the process
/// alone.
fn next_part(
    proxy: &Proxy,
    order: &FileRange,
    file: u32,
    done: u64,
    state: &State,
) -> Result<Option<Part>> {
    let offset = order.file_offset.saturating_add(done);
    let wanted = order.bytes.saturating_sub(done);
    let in_file = state.size.saturating_sub(offset);
    if in_file == 0 {
        return Ok(None);
    }
    let whole = (wanted / PAGE_BYTES).min(in_file.div_ceil(PAGE_BYTES));
    let pages = whole.clamp(1, MOST_LENT_PAGES.into());
    let version = if whole == 0 {
        0
    } else {
        version_of(proxy, state)?
    };
    Ok(Some(Part {
        address: order.address.saturating_add(done),
        offset,
        pages: pages as u32,
        bytes: wanted.min(pages.saturating_mul(PAGE_BYTES)),
        version,
        file: if whole == 0 { 0 } else { file },
    }))
}

/// The version of a file in `state`; the co-kernel forgets the one before.
fn version_of(proxy: &Proxy, state: &State) -> Result<u64> {
    let Some((identity, fingerprint)) = state.stable else {
        return Ok(0);
    };
    let version = proxy
        .instance
        .file_versions
        .lock()
        .of(identity, fingerprint)?;
    if version.stale != 0 {
        let message = ToCokernel::ForgetVersion {
            version: version.stale,
        };
        proxy.instance.send(proxy.cpu(), &message)?;
    }
    Ok(version.number)
}

/// Loads `part` of a file that was in `state` before.
fn load(proxy: &Proxy, source: &Source, state: &State, part: &Part, reading: Reading) -> Result {
    let Some(loan) = borrow(proxy, part)? else {
        return Ok(());
    };
    let mut filled = 0;
    let read = fill(proxy, source, part, &loan, reading, &mut filled);
    // The pages that were read belong to the version only if the file is still what it was.
    let kept = part.version != 0 && source.state().is_ok_and(|now| now == *state);
    let back = give_back(proxy, &loan, filled, kept);
    read.and(back)
}

/// Asks for the part; the frames the co-kernel lends for what it has not kept. The wait cannot be
/// interrupted: a loan that nobody heard of would never end.
fn borrow(proxy: &Proxy, part: &Part) -> Result<Option<Loan>> {
    let mut loan = 0;
    let question = |token| {
        loan = token;
        ToCokernel::LoadPages {
            token,
            process: proxy.handle(),
            address: part.address,
            version: part.version,
            page: part.offset / PAGE_BYTES,
            count: part.pages,
            file: part.file,
        }
    };
    // Room for the list first: with a loan open nothing may fail.
    let mut list = KVec::with_capacity(part.pages as usize, GFP_KERNEL)?;
    let answer = proxy
        .instance
        .ask(proxy.cpu(), Until::Condition, question)?;
    answer.into_result()?;
    if answer.words == 0 {
        return Ok(None);
    }
    let guard = proxy.memory.access().ok_or_else(errno::shutdown)?;
    let words = guard.partition().words(answer.records, part.pages as usize);
    if answer.words != part.pages || words.is_none() {
        drop(guard);
        proxy
            .instance
            .declare_hung("impossible answer to a request for pages of a file");
        return Err(errno::protocol());
    }
    for word in words.unwrap_or(&[]) {
        list.push(word.load(Ordering::Acquire), GFP_KERNEL)?;
    }
    Ok(Some(Loan { token: loan, list }))
}

/// Reads the file into the frames of `loan`; `filled` says how many pages are complete, whatever
/// happens.
fn fill(
    proxy: &Proxy,
    source: &Source,
    part: &Part,
    loan: &Loan,
    reading: Reading,
    filled: &mut u32,
) -> Result {
    while let Some(rest) = loan
        .list
        .get(*filled as usize..)
        .filter(|rest| !rest.is_empty())
    {
        let count = adjacent(rest);
        if rest.first() == Some(&0) {
            *filled = filled.saturating_add(count);
            continue;
        }
        if task::fatal_signal_pending() {
            return Err(EINTR);
        }
        let done = u64::from(*filled) * PAGE_BYTES;
        let target = pin(proxy, rest.first().copied().unwrap_or(0), count)?;
        let wanted = part.bytes.saturating_sub(done).min(target.bytes as u64);
        let offset = part.offset.saturating_add(done);
        let read = match reading {
            Reading::Call => read(source, offset, &target, wanted as usize)?,
            Reading::Fault => copy_pages(source, offset, &target)?,
        };
        let pages = read.div_ceil(PAGE_BYTES as usize);
        *filled = filled.saturating_add(pages as u32);
        if pages < count as usize {
            // The file has become shorter.
            return Ok(());
        }
    }
    Ok(())
}

/// The number of frames of `list`, from the first on, that are alike: there already, or adjacent within
/// a folio.
fn adjacent(list: &[u64]) -> u32 {
    let first = list.first().copied().unwrap_or(0);
    let step = if first == 0 { 0 } else { PAGE_BYTES };
    let mut count: u32 = 0;
    let mut expected = first;
    for frame in list {
        let other_folio = count != 0 && step != 0 && expected % LARGE_PAGE_BYTES == 0;
        if *frame != expected || other_folio {
            break;
        }
        expected = expected.saturating_add(step);
        count = count.saturating_add(1);
    }
    count
}

/// Keeps `count` lent frames from `phys` on from being given back to Linux and to others while the
/// file is read, which may take long: the instance may end meanwhile.
fn pin(proxy: &Proxy, phys: u64, count: u32) -> Result<Target> {
    let guard = proxy.memory.access().ok_or_else(errno::shutdown)?;
    let partition = guard.partition();
    let bytes = u64::from(count) * PAGE_BYTES;
    // The pin holds one folio.
    if phys % PAGE_BYTES != 0 || phys % LARGE_PAGE_BYTES + bytes > LARGE_PAGE_BYTES {
        return Err(errno::protocol());
    }
    let memory = partition.memory(phys, bytes).ok_or_else(errno::protocol)?;
    let frame = partition.frame(phys).ok_or_else(errno::protocol)?;
    let pin = partition.pin(frame).ok_or_else(errno::protocol)?;
    Ok(Target {
        memory,
        bytes: bytes as usize,
        _pin: pin,
    })
}

/// Reads `wanted` bytes from `offset` on; how many came. The rest of the last page becomes zero.
fn read(source: &Source, offset: u64, target: &Target, wanted: usize) -> Result<usize> {
    let mut done: usize = 0;
    while done < wanted {
        let position = offset.saturating_add(done as u64);
        // SAFETY: `done` is less than the target's length, and the pin keeps its memory, which the
        // co-kernel has lent to us alone.
        let read = unsafe {
            let rest = target.memory.add(done);
            source.read(position, rest, wanted.saturating_sub(done))?
        };
        if read == 0 {
            break;
        }
        done = done.saturating_add(read);
    }
    let end = done.next_multiple_of(PAGE_BYTES as usize).min(target.bytes);
    // SAFETY: as above; `end` is at most the target's length.
    unsafe {
        target
            .memory
            .add(done)
            .write_bytes(0, end.saturating_sub(done));
    }
    Ok(done)
}

/// Copies the pages of `target` from offset `offset` on out of the page cache; how many bytes.
fn copy_pages(source: &Source, offset: u64, target: &Target) -> Result<usize> {
    let mut done: usize = 0;
    while done < target.bytes {
        let page = offset.saturating_add(done as u64) / PAGE_BYTES;
        // SAFETY: `done` is less than the target's length, which is whole pages; else as in `read`.
        unsafe { source.copy_page(page, target.memory.add(done))? };
        done = done.saturating_add(PAGE_BYTES as usize);
    }
    Ok(done)
}

/// The loan ends.
fn give_back(proxy: &Proxy, loan: &Loan, count: u32, kept: bool) -> Result {
    let question = |token| ToCokernel::PagesRead {
        token,
        loan: loan.token,
        count,
        kept: kept.into(),
    };
    let mut tries = MOST_TRIES;
    loop {
        let asked = proxy.instance.ask(proxy.cpu(), Until::Condition, question);
        match asked {
            // Nothing was said yet, and without it the frames stay lent for good.
            Err(EAGAIN | ENOMEM) if tries > 0 => fsleep(TRY_AGAIN),
            asked => return asked?.into_result(),
        }
        tries -= 1;
    }
}
