// SPDX-License-Identifier: GPL-2.0
//! Shared mappings of files, devices and shared memory.
//!
//! This process maps them over a part of the window, and the co-kernel shows the program the pages
//! that Linux puts there.

use std::mem::offset_of;
use std::ptr;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;
use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::{fstat, SFlag};

use super::raw::raw;
use super::Program;
use crate::device;
use crate::image::page_up;
use crate::procfs::descriptor::borrow;
use crate::syscall::{Answer, Failure};

/// The flag `MAP_PRIVATE` of mmap, as the program passes it.
const MAP_PRIVATE: u64 = libc::MAP_PRIVATE.cast_unsigned() as u64;
/// Size of Linux's `struct robust_list_head`.
const ROBUST_HEAD_BYTES: u64 = 24;

/// Performs operation `number`. Returns `None` if it is none of those here.
pub(super) fn perform(program: &Program, number: u64, args: [u64; 6]) -> Option<Answer> {
    let [first, second, third, ..] = args;
    let window = program.window;
    Some(match number {
        op::MAP_FILE => map_file(program, args),
        op::UNMAP_FILE => window
            .part(first, second)
            .and_then(|_| device::map_window(first, second))
            .map(|()| 0)
            .map_err(Failure::from),
        op::MIRROR => device::mirror(first, second)
            .map(|()| 0)
            .map_err(Failure::from),
        op::REMAP_FILE => remap_file(program, args),
        op::ADVISE_FILE => call(program, libc::SYS_madvise, [first, second, third]),
        op::PROTECT_FILE => call(program, libc::SYS_mprotect, [first, second, third]),
        op::SHM_SIZE => shm_size(first),
        op::SHM_ATTACH => attach(program, args),
        op::ROBUST_LIST => raw(
            libc::SYS_set_robust_list,
            [first, ROBUST_HEAD_BYTES, 0, 0, 0, 0],
        ),
        _ => return None,
    })
}

/// Makes a call of Linux about a part of the window, with one argument more than address and bytes.
fn call(program: &Program, number: libc::c_long, args: [u64; 3]) -> Answer {
    let [address, bytes, more] = args;
    program.window.part(address, bytes)?;
    raw(number, [address, bytes, more, 0, 0, 0])
}

fn map_file(program: &Program, args: [u64; 6]) -> Answer {
    let [address, bytes, prot, flags, fd, offset] = args;
    program.window.part(address, bytes)?;
    let private = flags & u64::from(libc::MAP_TYPE.cast_unsigned()) == MAP_PRIVATE;
    // Private pages of devices would be Linux's memory; private zeroes need none of it.
    if private && is_device(fd)? {
        return Err(Errno::ENODEV.into());
    }
    raw(libc::SYS_mmap, [address, bytes, prot, flags, fd, offset])?;
    program.window.forget_rights(address, bytes);
    Ok(0)
}

/// Returns whether descriptor `fd` is a character device.
fn is_device(fd: u64) -> Result<bool, Errno> {
    let number = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let stat = fstat(borrow(number).ok_or(Errno::EBADF)?)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFCHR)
}

/// Has Linux move or grow its mapping. Whatever becomes free is the window again, even if Linux
/// fails.
fn remap_file(program: &Program, args: [u64; 6]) -> Answer {
    let [old, old_bytes, new, new_bytes, ..] = args;
    let window = program.window;
    window.part(old, old_bytes)?;
    window.part(new, new_bytes)?;
    let moves = old != new;
    let (free, free_bytes) = if moves {
        (old, old_bytes)
    } else {
        (old + old_bytes, new_bytes.saturating_sub(old_bytes))
    };
    let flags = if moves {
        libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED
    } else {
        // Linux grows into what is free only.
        raw(libc::SYS_munmap, [free, free_bytes, 0, 0, 0, 0])?;
        0
    };
    let flags = u64::from(flags.cast_unsigned());
    let done = raw(libc::SYS_mremap, [old, old_bytes, new_bytes, flags, new, 0]);
    match done {
        Ok(_) if moves => device::map_window(free, free_bytes)?,
        Ok(_) => {}
        Err(_) if moves => {}
        Err(_) => device::map_window(free, free_bytes)?,
    }
    if done.is_ok() {
        window.forget_rights(new, new_bytes);
    }
    done.map(|_| 0)
}

/// Returns the bytes of shared memory `id`, in whole pages.
fn shm_size(id: u64) -> Answer {
    let mut state = [0_u64; size_of::<libc::shmid_ds>() / 8];
    let address = ptr::from_mut(&mut state).expose_provenance() as u64;
    let command = u64::from(libc::IPC_STAT.cast_unsigned());
    raw(libc::SYS_shmctl, [id, command, address, 0, 0, 0])?;
    let bytes = state[offset_of!(libc::shmid_ds, shm_segsz) / 8];
    Ok(page_up(bytes).max(PAGE_BYTES))
}

fn attach(program: &Program, args: [u64; 6]) -> Answer {
    let [id, address, flags, bytes, ..] = args;
    program.window.part(address, bytes)?;
    let flags = flags | u64::from(libc::SHM_REMAP.cast_unsigned());
    raw(libc::SYS_shmat, [id, address, flags, 0, 0, 0])?;
    program.window.forget_rights(address, bytes);
    Ok(0)
}
