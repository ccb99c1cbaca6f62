// SPDX-License-Identifier: GPL-2.0
//! mmap: anonymous memory at once with the largest pages that fit, private copies of files, and
//! Linux's own pages of files that are shared.

use cokernel_logic::argument::uint;
use cokernel_logic::syscall::memory::{PROT_EXEC, PROT_READ, PROT_WRITE};
use cokernel_logic::syscall::mmap::{
    MmapArgs, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_HUGETLB,
    MAP_NORESERVE, MAP_POPULATE, MAP_STACK,
};
use cokernel_logic::vma::{Attributes, Kind, Marks, Protection, Range};
use ihk_ikc::process::op;
use ihk_ikc::syscalls::number;

use crate::addr::is_page_aligned;
use crate::arch::UserFrame;
use crate::aspace::populate;
use crate::aspace::space::LockNew;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::frames::watermark;
use crate::mm::{mirror, proxy_rights, unmap};
use crate::process::limits;
use crate::task::current;
use crate::task::process::Process;

/// Private mappings of at least so much are not copied.
const LARGE_FILE_BYTES: u64 = 4 << 20;
/// Private mappings of up to so much are there at once: that is faster than two faults.
const SMALL_FILE_BYTES: u64 = 64 << 10;

/// mmap(2).
pub fn mmap(frame: &mut UserFrame) -> SyscallResult {
    let args = MmapArgs::check(frame.args()).map_err(|errno| descriptor_first(frame, errno))?;
    let process = current::process();
    let space = &process.space;
    let _layout = space.lock_layout();
    let range = space.with(|inner| args.place(&mut inner.areas, space.window, space.mmap_top))?;
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

/// The error of a call whose arguments are refused with `errno`: Linux looks at the descriptor first, but for a
/// part of a page (`ksys_mmap_pgoff` in mm/mmap.c).
fn descriptor_first(frame: &UserFrame, errno: Errno) -> Errno {
    const F_GETFL: u64 = 3;
    const O_PATH: u64 = 0o10_000_000;
    let [_, _, _, flags, fd, offset] = frame.args();
    if uint(flags) & MAP_ANONYMOUS != 0 || !is_page_aligned(offset) {
        return errno;
    }
    match delegate::ask(number::fcntl, [fd, F_GETFL, 0, 0, 0, 0]) {
        Err(Errno::EBADF) => Errno::EBADF,
        Ok(flags) if flags & O_PATH != 0 => Errno::EBADF,
        _ => errno,
    }
}

/// A free range of `bytes`, as high as possible; large ones so that large pages fit.
///
/// # Errors
///
/// `ENOMEM`.
pub fn find_place(process: &Process, bytes: u64) -> Result<Range, Errno> {
    let space = &process.space;
    let args = MmapArgs::anywhere(bytes);
    space.with(|inner| args.place(&mut inner.areas, space.window, space.mmap_top))
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
    let mut rights = PROT_READ;
    for (wanted, right) in [(loading.write, PROT_WRITE), (loading.exec, PROT_EXEC)] {
        rights |= if wanted { right } else { 0 };
    }
    let request = [
        args.fd,
        range.start,
        range.bytes(),
        args.offset,
        rights.into(),
        at_once.into(),
    ];
    let answer = delegate::call_directly(op::BIND_FILE, request)?;
    if answer & op::BOUND_NEVER_EXECUTABLE != 0 {
        space.with(|inner| {
            inner.areas.update(range, |what| Attributes {
                marks: what.marks.with(Marks::NEVER_EXECUTABLE, true),
                ..what
            });
        });
    }
    if answer & op::BOUND_ZEROES != 0 {
        populate::populate(space, range, loading, &current::asker(space))?;
    }
    space.with(|inner| proxy_rights::record(inner, range, loading.is_read_only()));
    if !args.protection.is_accessible() {
        super::mprotect::change(process, range, args.protection)?;
    }
    Ok(())
}
