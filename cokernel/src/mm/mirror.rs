// SPDX-License-Identifier: GPL-2.0
//! Mirrored areas: shared mappings of files, devices and shared memory. The pages are Linux's, and the thread's
//! worker has them mapped at the same addresses; the program sees them from a fault here until
//! Linux changes its own mapping (the protocol is drawn in `mcctrl/mirror/mod.rs`).

use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::vma::{Area, Protection, Range};
use ihk_ikc::layout::{MAX_CPUS, PAGE_BYTES};
use ihk_ikc::packet::{ProcessHandle, ToLinux};
use ihk_ikc::process::{mirror as bits, op, prot};
use x86_64::PhysAddr;

use crate::addr::{page_down, to_usize};
use crate::arch::pte::{Flags, Mapping};
use crate::arch::time::Deadline;
use crate::arch::{self, relax};
use crate::aspace::space::{flags_of, AddressSpace, Inner};
use crate::errno::Errno;
use crate::task::process::{self, Process};
use crate::task::sched;
use crate::task::thread::Thread;
use crate::{delegate, failure, ikc};

/// The longest time by which a worker's answer may be ahead of the packet with the page. If it takes
/// longer, the program faults again.
const PACKET_US: u64 = 1000;
/// Pages forgotten under one hold of the lock.
const PAGES_AT_ONCE: u32 = 512;

/// CPUs whose thread must not wait for Linux in a fault, because it holds a lock.
static BUSY: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Runs `access`, which touches user memory under a lock: a mirrored page that is not there counts
/// as no memory at all.
pub fn without_waiting<R>(access: impl FnOnce() -> R) -> R {
    let busy = &BUSY[arch::cpu_index() as usize];
    busy.store(true, Ordering::Relaxed);
    let result = access();
    busy.store(false, Ordering::Relaxed);
    result
}

/// Whether the current thread must not wait for Linux in a fault.
pub fn must_not_wait() -> bool {
    BUSY[arch::cpu_index() as usize].load(Ordering::Relaxed)
}

/// Has Linux show the current process the page of `address`, in a mirrored area that allows it.
/// Waits for Linux: called without any lock.
///
/// # Errors
///
/// `EFAULT`: Linux has none there, as past the end of a file, or the caller must not wait.
pub fn fetch(process: &Process, address: u64, write: bool) -> Result<(), Errno> {
    if must_not_wait() || process.is_dying() {
        return Err(Errno::EFAULT);
    }
    let page = page_down(address);
    match delegate::ask(op::MIRROR, [page, u64::from(write), 0, 0, 0, 0]) {
        Ok(_) => {
            await_packet(&process.space, page, write);
            note_robust_list(sched::current());
            Ok(())
        }
        // The access is made again, and with it this question, after whatever interrupted us.
        Err(Errno::EINTR | Errno::EAGAIN) if !process.is_dying() => Ok(()),
        Err(_) => Err(Errno::EFAULT),
    }
}

/// Some of the words of the robust list of `thread`, the current one, may be in the page: Linux is told of the
/// list before user mode goes on.
fn note_robust_list(thread: &Thread) {
    if thread.data.robust_list.request_telling() {
        thread.request_return_work();
    }
}

/// The page travels by another way than the worker's answer.
fn await_packet(space: &AddressSpace, page: u64, write: bool) {
    let deadline = Deadline::after_us(PACKET_US);
    while !deadline.passed() {
        ikc::poll();
        let there = space.with(|inner| inner.table.lookup(page));
        if there.is_some_and(|mapping| mapping.flags.write || !write) {
            return;
        }
        relax();
    }
}

/// Linux shows `pages` at `address` and behind it. What is no longer a mirrored area stays as it is.
pub fn add(space: &AddressSpace, address: u64, pages: [u64; bits::PAGES]) {
    space.with(|inner| {
        for (at, page) in (address..).step_by(to_usize(PAGE_BYTES)).zip(pages) {
            if page & bits::PRESENT != 0 && space.window.contains(at) {
                add_page(space, inner, at, page);
            }
        }
    });
}

fn add_page(space: &AddressSpace, inner: &mut Inner, address: u64, page: u64) {
    let frame = PhysAddr::new_truncate(page_down(page));
    let Some(area) = inner.areas.find(address).filter(is_mirrored) else {
        return;
    };
    let rights = area.attributes.protection;
    if !rights.is_accessible() {
        return;
    }
    let flags = Flags {
        write: rights.write && page & bits::WRITE != 0,
        mirrored: true,
        caching: bits::caching(page),
        ..flags_of(rights)
    };
    match inner.table.lookup(address) {
        // Without a frame for a table the program faults again, and asks again.
        None => drop(inner.table.map_foreign(address, frame, flags)),
        Some(old) if !old.flags.mirrored || is_same(&old, frame, flags) && old.flags.write => {}
        Some(old) => {
            let replaced = inner.table.replace_foreign(address, frame, flags);
            if replaced.is_ok() && !is_same(&old, frame, flags) {
                space.flush_page(address);
            }
        }
    }
}

/// Whether a page that is shown already differs in its rights at most.
fn is_same(old: &Mapping, frame: PhysAddr, flags: Flags) -> bool {
    old.pa == frame && old.flags.caching == flags.caching
}

/// Linux takes back what it has shown in `range`, of a process that may be gone, and hears of it
/// when no CPU uses it any more.
pub fn drop_pages(handle: ProcessHandle, number: u64, range: Range) {
    failure::in_mirror();
    if let Some(process) = process::find(handle) {
        let space = &process.space;
        let range = range.clip(&space.window);
        for area in space.with(|inner| inner.areas.parts(range)) {
            if is_mirrored(&area) {
                forget(space, area.range);
            }
        }
    }
    ikc::send(&ToLinux::MirrorDropped {
        process: handle,
        number,
    });
}

/// Forgets Linux's pages in `range`, on every CPU.
pub fn forget(space: &AddressSpace, range: Range) {
    let mut at = range.start;
    let mut found = false;
    while at < range.end {
        at = space.with(|inner| forget_some(inner, at, range.end, &mut found));
        ikc::beat();
    }
    if found {
        space.flush(range);
    }
}

fn forget_some(inner: &mut Inner, mut at: u64, end: u64, found: &mut bool) -> u64 {
    for _ in 0..PAGES_AT_ONCE {
        let Some((address, mapping)) = inner.table.next_mapping(at, end) else {
            return end;
        };
        if mapping.flags.mirrored {
            inner.table.forget_foreign(address);
            *found = true;
        }
        at = address + mapping.size.bytes();
    }
    at
}

/// Whether `area` shows Linux's pages.
pub fn is_mirrored(area: &Area) -> bool {
    area.attributes.kind.is_mirrored()
}

/// The mirrored areas in `range`, clipped to it.
pub fn parts(space: &AddressSpace, range: Range) -> impl Iterator<Item = Area> {
    let parts = space.with(|inner| inner.areas.parts(range));
    parts.into_iter().filter(is_mirrored)
}

/// Turns the mirrored parts of `range` in the proxy into the window again; the program's areas stay for
/// the caller to remove. In a child of vfork, whose window is its parent's, the files stay mapped.
///
/// # Errors
///
/// `ENOMEM`: Linux has no room for another area.
pub fn restore_window(process: &Process, range: Range) -> Result<(), Errno> {
    for area in parts(&process.space, range) {
        if process.space.owner() == process.handle {
            delegate::ask(
                op::UNMAP_FILE,
                [area.range.start, area.range.bytes(), 0, 0, 0, 0],
            )?;
        }
    }
    Ok(())
}

/// Rights of the worker's mapping. What can be touched must be readable there to be shown.
pub fn rights(protection: Protection) -> u64 {
    let bit = |wanted: bool, bit: u32| if wanted { u64::from(bit) } else { 0 };
    bit(protection.is_accessible(), prot::READ)
        | bit(protection.write, prot::WRITE)
        | bit(protection.exec, prot::EXEC)
}
