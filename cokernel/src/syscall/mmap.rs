// SPDX-License-Identifier: GPL-2.0
//! mmap: anonymous memory at once with the largest pages that fit, private copies of files, and
//! Linux's own pages of files that are shared.

use cokernel_logic::vma::{Kind, Protection, Range};
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use ihk_ikc::process::op;

use super::errno::{Errno, SyscallResult};
use super::limits;
use super::user::uint;
use crate::arch::UserFrame;
use crate::delegate;
use crate::mm::addr::{is_page_aligned, page_up, USER_END};
use crate::mm::aspace::attributes;
use crate::mm::{mirror, populate, unmap, window};
use crate::task::process::{self, Process};

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;

const MAP_TYPE: u32 = 0xf;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_DROPPABLE: u32 = 8;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_LOCKED: u32 = 0x2000;
const MAP_NORESERVE: u32 = 0x4000;
const MAP_POPULATE: u32 = 0x8000;
const MAP_STACK: u32 = 0x2_0000;
const MAP_HUGETLB: u32 = 0x4_0000;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;

/// What was asked for, checked.
struct Wish {
    hint: u64,
    bytes: u64,
    protection: Protection,
    flags: u32,
    fd: u64,
    offset: u64,
}

/// The rights `prot` asks for; bits that mean nothing here are ignored, as on Linux.
pub fn protection_of(prot: u64) -> Protection {
    let prot = uint(prot);
    Protection {
        read: prot & PROT_READ != 0,
        write: prot & PROT_WRITE != 0,
        exec: prot & PROT_EXEC != 0,
    }
}

/// mmap(2).
pub fn mmap(frame: &mut UserFrame) -> SyscallResult {
    let wish = check(frame.args())?;
    let process = process::current();
    let _layout = process.space.lock_layout();
    let range = place(process, &wish)?;
    let shared = wish.flags & MAP_TYPE != MAP_PRIVATE;
    let counted = Protection {
        write: wish.protection.write && !shared,
        ..wish.protection
    };
    limits::check_growth(process, range.bytes(), counted)?;
    if wish.flags & MAP_LOCKED != 0 {
        limits::check_locked(process, range.bytes()).map_err(|_| Errno::EAGAIN)?;
    }
    unmap::unmap(process, range)?;
    let done = if wish.flags & MAP_ANONYMOUS != 0 {
        map_anonymous(process, range, &wish)
    } else if shared {
        map_shared_file(process, range, &wish)
    } else {
        map_file(process, range, &wish)
    };
    match done {
        Ok(()) => Ok(range.start),
        Err(error) => {
            unmap::unmap(process, range)?;
            Err(error)
        }
    }
}

fn check(args: [u64; 6]) -> Result<Wish, Errno> {
    let [hint, bytes, prot, flags, fd, offset] = args;
    let flags = uint(flags);
    if !is_page_aligned(offset) || bytes == 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = page_up(bytes)
        .filter(|&bytes| bytes <= USER_END)
        .ok_or(Errno::ENOMEM)?;
    offset.checked_add(bytes).ok_or(Errno::EOVERFLOW)?;
    let anonymous = flags & MAP_ANONYMOUS != 0;
    match flags & MAP_TYPE {
        MAP_PRIVATE | MAP_SHARED => {}
        MAP_DROPPABLE if anonymous => {}
        MAP_SHARED_VALIDATE if !anonymous => {}
        _ => return Err(Errno::EINVAL),
    }
    if flags & MAP_HUGETLB != 0 && anonymous {
        return Err(Errno::ENOMEM);
    }
    Ok(Wish {
        hint,
        bytes,
        protection: protection_of(prot),
        flags,
        fd,
        offset,
    })
}

/// Where it goes.
fn place(process: &Process, wish: &Wish) -> Result<Range, Errno> {
    let space = &process.space;
    if wish.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0 {
        if !is_page_aligned(wish.hint) {
            return Err(Errno::EINVAL);
        }
        let range = Range::new(wish.hint, wish.bytes).ok_or(Errno::ENOMEM)?;
        if range.start < space.window.start {
            return Err(Errno::EPERM);
        }
        if !space.window.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        let taken = wish.flags & MAP_FIXED_NOREPLACE != 0
            && !space.with(|inner| inner.areas.is_free(range));
        return if taken { Err(Errno::EEXIST) } else { Ok(range) };
    }
    find_place(process, wish.hint, wish.bytes)
}

/// A free range of `bytes`: at `hint` if possible, else as high as possible; large ones so that
/// large pages fit.
///
/// # Errors
///
/// `ENOMEM`.
pub fn find_place(process: &Process, hint: u64, bytes: u64) -> Result<Range, Errno> {
    let space = &process.space;
    let align = if bytes >= LARGE_PAGE_BYTES {
        LARGE_PAGE_BYTES
    } else {
        PAGE_BYTES
    };
    space.with(|inner| {
        let hinted = page_up(hint)
            .filter(|_| hint != 0)
            .and_then(|start| Range::new(start, bytes));
        if let Some(range) =
            hinted.filter(|range| space.window.covers(range) && inner.areas.is_free(*range))
        {
            return Ok(range);
        }
        let gap = |align, top| inner.areas.find_gap(bytes, space.window.start, top, align);
        let start = gap(align, space.mmap_top)
            .or_else(|| gap(PAGE_BYTES, space.window.end))
            .ok_or(Errno::ENOMEM)?;
        Ok(Range {
            start,
            end: start + bytes,
        })
    })
}

fn map_anonymous(process: &Process, range: Range, wish: &Wish) -> Result<(), Errno> {
    let space = &process.space;
    let promised = wish.protection.write && wish.flags & MAP_NORESERVE == 0;
    let room = populate::has_room_for(range.bytes());
    // There is no swap: what is promised has to be there.
    if promised && !room {
        return Err(Errno::ENOMEM);
    }
    let forced = wish.flags & (MAP_POPULATE | MAP_LOCKED) != 0;
    let is_stack = wish.flags & MAP_STACK != 0;
    let wanted = promised && !is_stack || forced;
    let at_once = wish.protection.is_accessible() && room && wanted;
    let kind = if is_stack {
        Kind::ThreadStack
    } else {
        Kind::Anonymous
    };
    let mut what = attributes(kind, wish.protection);
    what.locked = wish.flags & MAP_LOCKED != 0;
    what.on_demand = !at_once;
    what.shared = wish.flags & MAP_TYPE == MAP_SHARED;
    space.with(|inner| inner.add_area(range, what))?;
    if at_once {
        populate::populate(space, range, wish.protection)?;
    }
    window::sync(space, range).map_err(window::errno_of)
}

/// Linux maps the file in the worker's process; the pages come from there, one fault at a time.
fn map_shared_file(process: &Process, range: Range, wish: &Wish) -> Result<(), Errno> {
    let space = &process.space;
    if space.owner() != process.handle {
        // A child of vfork would map it in its own proxy, where its parent does not find it.
        return Err(Errno::ENODEV);
    }
    let mut what = attributes(Kind::SharedFile, wish.protection);
    what.shared = true;
    what.locked = wish.flags & MAP_LOCKED != 0;
    space.with(|inner| {
        inner.add_area(range, what)?;
        window::record(inner, range, false);
        Ok(())
    })?;
    let flags = u64::from(wish.flags & !(MAP_FIXED_NOREPLACE | MAP_STACK) | MAP_FIXED);
    let rights = mirror::rights(wish.protection);
    let args = [
        range.start,
        range.bytes(),
        rights,
        flags,
        wish.fd,
        wish.offset,
    ];
    mirror::ask(op::MAP_FILE, args).map(drop)
}

/// A private copy: Linux reads the file straight into the pages.
fn map_file(process: &Process, range: Range, wish: &Wish) -> Result<(), Errno> {
    let space = &process.space;
    // Without any rights the pages are still loaded: mprotect may make them readable later.
    let readable = Protection {
        read: true,
        ..Protection::default()
    };
    let loading = if wish.protection.is_accessible() {
        wish.protection
    } else {
        readable
    };
    space.with(|inner| inner.add_area(range, attributes(Kind::File, loading)))?;
    populate::populate(space, range, loading)?;
    if loading.write {
        window::sync(space, range).map_err(window::errno_of)?;
    }
    let rights = u64::from(PROT_READ)
        | if loading.write {
            u64::from(PROT_WRITE)
        } else {
            0
        };
    let result = delegate::call(
        op::LOAD_FILE,
        [wish.fd, range.start, range.bytes(), wish.offset, rights, 0],
    );
    if result < 0 {
        return Err(Errno::from_linux(result));
    }
    space.with(|inner| window::record(inner, range, loading.is_read_only()));
    if !wish.protection.is_accessible() {
        super::mprotect::change(process, range, wish.protection)?;
    }
    Ok(())
}
