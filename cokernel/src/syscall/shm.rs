// SPDX-License-Identifier: GPL-2.0
//! System V shared memory: Linux attaches it in the worker's process, where the program looks for it.

use cokernel_logic::vma::{Attributes, Kind, Protection, Range};
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;
use ihk_ikc::syscalls::number;

use crate::addr::{is_page_aligned, page_down};
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{mirror, proxy_rights, unmap};
use crate::process::limits;
use crate::syscall::mmap::find_place;
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::uint;

const SHM_RDONLY: u32 = 0o10_000;
const SHM_RND: u32 = 0o20_000;
const SHM_REMAP: u32 = 0o40_000;
const SHM_EXEC: u32 = 0o100_000;

/// shmat(2).
pub fn shmat(frame: &mut UserFrame) -> SyscallResult {
    let [id, hint, flags, ..] = frame.args();
    let flags = uint(flags);
    let bytes = delegate::ask(op::SHM_SIZE, [id, 0, 0, 0, 0, 0])?;
    let process = current::process();
    if process.space.owner() != process.handle {
        // A child of vfork would attach it in its own proxy, where its parent does not find it.
        return Err(Errno::ENOMEM);
    }
    let _layout = process.space.lock_layout();
    let range = place(process, hint, bytes, flags)?;
    limits::check_growth(
        process,
        bytes,
        &Attributes::new(Kind::SystemV, Protection::default()),
    )?;
    unmap::unmap(process, range)?;
    attach(process, id, range, flags).inspect_err(|_| {
        // The pages there belong to this call; an error here would be the same one again.
        let _ = unmap::unmap(process, range);
    })?;
    Ok(range.start)
}

/// The range that the segment is attached at.
fn place(process: &Process, hint: u64, bytes: u64, flags: u32) -> Result<Range, Errno> {
    let replaces = flags & SHM_REMAP != 0;
    if hint == 0 {
        return if replaces {
            Err(Errno::EINVAL)
        } else {
            find_place(process, bytes)
        };
    }
    let start = if flags & SHM_RND != 0 {
        page_down(hint)
    } else {
        hint
    };
    let space = &process.space;
    let range = Range::new(start, bytes)
        .filter(|range| is_page_aligned(start) && space.window.covers(range))
        .ok_or(Errno::EINVAL)?;
    if replaces || space.with(|inner| inner.areas.is_free(range)) {
        Ok(range)
    } else {
        Err(Errno::EINVAL)
    }
}

fn attach(process: &Process, id: u64, range: Range, flags: u32) -> Result<(), Errno> {
    let protection = Protection {
        read: true,
        write: flags & SHM_RDONLY == 0,
        exec: flags & SHM_EXEC != 0,
        key: 0,
    };
    let mut what = Attributes::new(Kind::SystemV, protection);
    what.shared = true;
    process.space.with(|inner| {
        inner.add_area(range, what)?;
        proxy_rights::record(inner, range, false);
        inner.attached.insert(range.start, range.bytes());
        Ok(())
    })?;
    let args = [id, range.start, u64::from(flags), range.bytes(), 0, 0];
    delegate::ask(op::SHM_ATTACH, args).map(drop)
}

/// shmdt(2).
pub fn shmdt(frame: &mut UserFrame) -> SyscallResult {
    let [start, ..] = frame.args();
    let process = current::process();
    let _layout = process.space.lock_layout();
    let bytes = process
        .space
        .with(|inner| inner.attached.remove(&start))
        .ok_or(Errno::EINVAL)?;
    delegate::ask(number::shmdt, [start, 0, 0, 0, 0, 0])?;
    let range = Range::new(start, bytes.max(PAGE_BYTES)).ok_or(Errno::EINVAL)?;
    for part in mirror::parts(&process.space, range) {
        // Other things may have been mapped over it in part.
        if part.attributes.kind == Kind::SystemV {
            unmap::unmap(process, part.range)?;
        }
    }
    Ok(0)
}
