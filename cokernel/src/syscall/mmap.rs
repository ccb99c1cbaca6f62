// SPDX-License-Identifier: GPL-2.0
//! mmap: anonymous memory at once with the largest pages that fit, private copies of files, and
//! Linux's own pages of files that are shared.

use cokernel_logic::vma::{Attributes, Kind, Protection, Range};
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use ihk_ikc::process::op;

use crate::addr::{is_page_aligned, USER_END};
use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::aspace::space::LockNew;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::frames::watermark;
use crate::mm::{mirror, proxy_rights, unmap};
use crate::partition::GIANT_BYTES;
use crate::process::limits;
use crate::syscall::protection::{self, PROT_READ, PROT_WRITE};
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::uint;

const MAP_TYPE: u32 = 0xf;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_DROPPABLE: u32 = 8;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_32BIT: u32 = 0x40;
const MAP_GROWSDOWN: u32 = 0x100;
const MAP_LOCKED: u32 = 0x2000;
const MAP_NORESERVE: u32 = 0x4000;
const MAP_POPULATE: u32 = 0x8000;
const MAP_STACK: u32 = 0x2_0000;
const MAP_HUGETLB: u32 = 0x4_0000;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
/// The position in flags of the size of huge pages, as a power of two; 0 = 2 MiB.
const HUGE_SHIFT: u32 = 26;
const HUGE_MASK: u32 = 0x3f;
/// The addresses of `MAP_32BIT`, as on Linux.
const LOW: Range = Range {
    start: 0x4000_0000,
    end: 0x8000_0000,
};

/// Private mappings of at least so much are not copied.
const LARGE_FILE_BYTES: u64 = 4 << 20;
/// Private mappings of up to so much are there at once: that is faster than two faults.
const SMALL_FILE_BYTES: u64 = 64 << 10;

/// The checked arguments of mmap.
struct MmapArgs {
    hint: u64,
    bytes: u64,
    /// Alignment of its first address, at best.
    align: u64,
    protection: Protection,
    flags: u32,
    fd: u64,
    offset: u64,
}

impl MmapArgs {
    const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Attributes of the area it becomes.
    fn attributes(&self) -> Attributes {
        let kind = if !self.has(MAP_ANONYMOUS) {
            Kind::File
        } else if self.has(MAP_STACK) {
            Kind::ThreadStack
        } else {
            Kind::Anonymous
        };
        let kind_of_memory = self.flags & MAP_TYPE;
        Attributes {
            locked: self.has(MAP_LOCKED),
            shared: matches!(kind_of_memory, MAP_SHARED | MAP_SHARED_VALIDATE),
            grows_down: self.has(MAP_GROWSDOWN),
            wiped_by_fork: kind_of_memory == MAP_DROPPABLE,
            ..Attributes::new(kind, self.protection)
        }
    }
}

/// mmap(2).
pub fn mmap(frame: &mut UserFrame) -> SyscallResult {
    let args = check(frame.args())?;
    let process = current::process();
    let space = &process.space;
    let _layout = space.lock_layout();
    let range = place(process, &args)?;
    let mut what = args.attributes();
    what.locked |= space.with(|inner| inner.lock_new != LockNew::No);
    let replaced = space.with(|inner| inner.areas.bytes_in(range));
    limits::check_growth(process, range.bytes() - replaced, &what)?;
    if what.locked {
        limits::check_locked(process, range.bytes()).map_err(limits::at_mapping)?;
    }
    unmap::unmap(process, range)?;
    let done = if args.has(MAP_ANONYMOUS) {
        map_anonymous(process, range, &args, what)
    } else {
        map_file(process, range, &args, &what)
    };
    match done {
        Ok(()) => Ok(range.start),
        Err(error) => {
            unmap::unmap(process, range)?;
            Err(error)
        }
    }
}

fn check(registers: [u64; 6]) -> Result<MmapArgs, Errno> {
    let [hint, bytes, prot, flags, fd, offset] = registers;
    let flags = uint(flags);
    if !is_page_aligned(offset) || bytes == 0 {
        return Err(Errno::EINVAL);
    }
    let anonymous = flags & MAP_ANONYMOUS != 0;
    let unit = unit_of(flags)?;
    let bytes = bytes
        .checked_next_multiple_of(unit)
        .filter(|&bytes| bytes <= USER_END)
        .ok_or(Errno::ENOMEM)?;
    offset.checked_add(bytes).ok_or(Errno::EOVERFLOW)?;
    match flags & MAP_TYPE {
        MAP_PRIVATE => {}
        MAP_SHARED if !anonymous || flags & MAP_GROWSDOWN == 0 => {}
        MAP_DROPPABLE if anonymous && flags & (MAP_GROWSDOWN | MAP_LOCKED) == 0 => {}
        MAP_SHARED_VALIDATE if !anonymous => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(MmapArgs {
        hint,
        bytes,
        align: unit.max(largest_page(bytes)),
        protection: protection::protection_of(prot),
        flags,
        fd,
        offset,
    })
}

/// The size of the largest page that fits into `bytes`.
fn largest_page(bytes: u64) -> u64 {
    let sizes = [GIANT_BYTES, LARGE_PAGE_BYTES];
    let fitting = sizes.into_iter().find(|&size| bytes >= size);
    fitting.unwrap_or(PAGE_BYTES)
}

/// The size of page that `flags` ask for.
///
/// # Errors
///
/// `EINVAL`: there are no such pages.
const fn unit_of(flags: u32) -> Result<u64, Errno> {
    if flags & MAP_HUGETLB == 0 {
        return Ok(PAGE_BYTES);
    }
    if flags & MAP_ANONYMOUS == 0 {
        return Err(Errno::EINVAL);
    }
    match flags >> HUGE_SHIFT & HUGE_MASK {
        0 | 21 => Ok(LARGE_PAGE_BYTES),
        30 => Ok(1 << 30),
        _ => Err(Errno::EINVAL),
    }
}

/// The range that the new mapping gets.
fn place(process: &Process, args: &MmapArgs) -> Result<Range, Errno> {
    let space = &process.space;
    if args.has(MAP_FIXED | MAP_FIXED_NOREPLACE) {
        let unit = unit_of(args.flags)?;
        let range = Range::new(args.hint, args.bytes).ok_or(Errno::ENOMEM)?;
        if range.end > USER_END {
            return Err(Errno::ENOMEM);
        }
        if args.hint % unit != 0 {
            return Err(Errno::EINVAL);
        }
        if range.start < space.window.start {
            return Err(Errno::EPERM);
        }
        if !space.window.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        return space.with(|inner| {
            if args.has(MAP_FIXED_NOREPLACE) && !inner.areas.is_free(range) {
                Err(Errno::EEXIST)
            } else if inner.has_vdso(range) {
                Err(Errno::ENOMEM)
            } else {
                Ok(range)
            }
        });
    }
    if args.has(MAP_32BIT) {
        return find_in(process, LOW, LOW.end, args);
    }
    find_in(process, space.window, space.mmap_top, args)
}

/// A free range of `bytes`, as high as possible; large ones so that large pages fit.
///
/// # Errors
///
/// `ENOMEM`.
pub fn find_place(process: &Process, bytes: u64) -> Result<Range, Errno> {
    let args = MmapArgs {
        hint: 0,
        bytes,
        align: largest_page(bytes),
        protection: Protection::default(),
        flags: 0,
        fd: 0,
        offset: 0,
    };
    find_in(process, process.space.window, process.space.mmap_top, &args)
}

/// A free range within `bounds`: where the hint says if possible, else below `top`, else anywhere.
fn find_in(process: &Process, bounds: Range, top: u64, args: &MmapArgs) -> Result<Range, Errno> {
    let unit = unit_of(args.flags)?;
    process.space.with(|inner| {
        let hinted = args
            .hint
            .checked_next_multiple_of(unit)
            .filter(|_| args.hint != 0)
            .and_then(|start| Range::new(start, args.bytes));
        if let Some(range) =
            hinted.filter(|range| bounds.covers(range) && inner.areas.is_free(*range))
        {
            return Ok(range);
        }
        let mut gap = |align, top| inner.areas.find_gap(args.bytes, bounds.start, top, align);
        let start = gap(args.align, top)
            .or_else(|| gap(unit, bounds.end))
            .ok_or(Errno::ENOMEM)?;
        Ok(Range {
            start,
            end: start + args.bytes,
        })
    })
}

fn map_anonymous(
    process: &Process,
    range: Range,
    args: &MmapArgs,
    mut what: Attributes,
) -> Result<(), Errno> {
    let space = &process.space;
    let huge = args.has(MAP_HUGETLB);
    let promised = args.protection.write && !args.has(MAP_NORESERVE) || huge;
    let room = watermark::has_room_for(range.bytes());
    // There is no swap: what is promised has to be there.
    if promised && !room {
        return Err(Errno::ENOMEM);
    }
    let fill_locked = what.locked && space.with(|inner| inner.lock_new != LockNew::OnFault);
    let forced = args.has(MAP_POPULATE) || fill_locked;
    let lazy = args.has(MAP_STACK | MAP_GROWSDOWN);
    let wanted = promised && !lazy || forced;
    let at_once = args.protection.is_accessible() && room && wanted;
    what.on_demand = !at_once && !huge;
    space.with(|inner| inner.add_area(range, what))?;
    if huge {
        populate::populate_large(space, range, &what, &current::asker(space))?;
    } else if at_once {
        populate::populate(space, range, args.protection, &current::asker(space))?;
    }
    proxy_rights::sync(space, range)
}

/// Shared files are Linux's pages; so are large private ones, of which a program often touches little,
/// unless they are to be written or filled at once. Of others the partition has a copy.
fn map_file(
    process: &Process,
    range: Range,
    args: &MmapArgs,
    what: &Attributes,
) -> Result<(), Errno> {
    if what.shared {
        return map_in_linux(process, range, args, what);
    }
    let fill_locked = what.locked
        && process
            .space
            .with(|inner| inner.lock_new != LockNew::OnFault);
    let at_once = fill_locked || args.has(MAP_POPULATE);
    let mirrored = !args.protection.write && !what.locked && !at_once;
    if range.bytes() >= LARGE_FILE_BYTES && mirrored {
        match map_in_linux(process, range, args, what) {
            // Nothing that Linux could show; what can be copied is known elsewhere.
            Err(Errno::ENODEV) => unmap::unmap(process, range)?,
            done => return done,
        }
    }
    let at_once = at_once || range.bytes() <= SMALL_FILE_BYTES;
    copy_file(process, range, args, at_once)
}

/// Linux maps the file in the worker's process; the pages come from there, one fault at a time.
fn map_in_linux(
    process: &Process,
    range: Range,
    args: &MmapArgs,
    what: &Attributes,
) -> Result<(), Errno> {
    let space = &process.space;
    if space.owner() != process.handle {
        // A child of vfork would map it in its own proxy, where its parent does not find it.
        return Err(Errno::ENODEV);
    }
    let what = Attributes {
        kind: Kind::MappedFile,
        ..*what
    };
    space.with(|inner| {
        inner.add_area(range, what)?;
        proxy_rights::record(inner, range, false);
        Ok(())
    })?;
    let flags = u64::from(args.flags & !(MAP_FIXED_NOREPLACE | MAP_STACK) | MAP_FIXED);
    let rights = mirror::rights(args.protection);
    let request = [
        range.start,
        range.bytes(),
        rights,
        flags,
        args.fd,
        args.offset,
    ];
    delegate::ask(op::MAP_FILE, request).map(drop)
}

/// A private copy, as far as it is written: the pages are the file's, shared with who else has them, and
/// come when they are touched, or `at_once`.
fn copy_file(process: &Process, range: Range, args: &MmapArgs, at_once: bool) -> Result<(), Errno> {
    let space = &process.space;
    // Each page may have to be copied.
    let promised = args.protection.write && !args.has(MAP_NORESERVE);
    if promised && !watermark::has_room_for(range.bytes()) {
        return Err(Errno::ENOMEM);
    }
    // Without any rights the pages are still loaded: mprotect may make them readable later.
    let readable = Protection {
        read: true,
        ..Protection::default()
    };
    let loading = if args.protection.is_accessible() {
        args.protection
    } else {
        readable
    };
    space.with(|inner| inner.add_area(range, Attributes::new(Kind::File, loading)))?;
    if loading.write {
        proxy_rights::sync(space, range)?;
    }
    let rights = u64::from(PROT_READ)
        | if loading.write {
            u64::from(PROT_WRITE)
        } else {
            0
        };
    let request = [
        args.fd,
        range.start,
        range.bytes(),
        args.offset,
        rights,
        at_once.into(),
    ];
    match delegate::call_directly(op::BIND_FILE, request)? {
        0 => {}
        1 => populate::populate(space, range, loading, &current::asker(space))?,
        _ => return Err(Errno::EIO),
    }
    space.with(|inner| proxy_rights::record(inner, range, loading.is_read_only()));
    if !args.protection.is_accessible() {
        super::mprotect::change(process, range, args.protection)?;
    }
    Ok(())
}
