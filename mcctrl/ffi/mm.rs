// SPDX-License-Identifier: GPL-2.0
//! Pages and areas of the calling process, found by address.

use super::file::ExecutedFile;
use super::page::{self, PageRef};
use crate::proto::layout::PAGE_BYTES;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::{bindings, prelude::*, task::Task};

/// A reference to the page that the caller has mapped at `address` and has just read. `None` if
/// there is none, or none that consists of ordinary memory.
pub(crate) fn page_of_current(address: usize) -> Option<PageRef> {
    ordinary_page(address).or_else(|| special_page(address))
}

fn ordinary_page(address: usize) -> Option<PageRef> {
    let mut page = core::ptr::null_mut();
    // SAFETY: room for one page; 0 = read access.
    if unsafe { bindings::pin_user_pages_fast(address, 1, 0, &mut page) } != 1 {
        return None;
    }
    // SAFETY: pinned memory has a `struct page`.
    let reference = unsafe { PageRef::try_get(page::phys_of(page)) };
    // SAFETY: undoes the pin; our own reference stays.
    unsafe { bindings::unpin_user_page(page) };
    reference
}

/// Areas like `[vvar]` forbid `get_user_pages`; their pages are looked up in the page table.
fn special_page(address: usize) -> Option<PageRef> {
    // SAFETY: `current` is valid, and its address space is its own to read.
    let mm = unsafe { (*Task::current_raw()).mm };
    if mm.is_null() {
        return None;
    }
    // SAFETY: our own address space, with its lock held around the look.
    unsafe {
        bindings::mmap_read_lock(mm);
        let page = special_page_locked(mm, address);
        bindings::mmap_read_unlock(mm);
        page
    }
}

/// From now on the calling process's program is `file`: `/proc/PID/exe` leads there, and nobody writes it while
/// the process or a child of it runs. Returns what it was. Linux changes it the same way for
/// `PR_SET_MM_EXE_FILE` (`replace_mm_exe_file`, `kernel/fork.c`). Sleeps.
pub(crate) fn set_executable(file: ExecutedFile) -> Option<ExecutedFile> {
    // SAFETY: the current task exists.
    let mm = unsafe { (*Task::current_raw()).mm };
    if mm.is_null() {
        return Some(file);
    }
    // SAFETY: our own address space. A fork of it reads the file under its lock, readers under RCU with a
    // reference of their own; what is exchanged comes with a reference and a denial of writing, both ways.
    let before = unsafe {
        let lock = core::ptr::addr_of_mut!((*mm).__bindgen_anon_1.mmap_lock);
        bindings::down_write(lock);
        let place = AtomicPtr::from_ptr(core::ptr::addr_of_mut!((*mm).__bindgen_anon_1.exe_file));
        let before = place.swap(file.into_raw(), Ordering::AcqRel);
        bindings::up_write(lock);
        before
    };
    // SAFETY: the process's until now.
    NonNull::new(before).map(|before| unsafe { ExecutedFile::from_raw(before) })
}

/// Returns where the calling process's first area that ends above `address` begins and ends.
pub(crate) fn area_from(address: u64) -> Option<(u64, u64)> {
    // SAFETY: the current task exists.
    let mm = unsafe { (*Task::current_raw()).mm };
    if mm.is_null() {
        return None;
    }
    // SAFETY: our own address space, with its lock held around the look; the lock keeps the area.
    unsafe {
        bindings::mmap_read_lock(mm);
        let area = bindings::find_vma(mm, address as c_ulong);
        let range = (!area.is_null()).then(|| {
            let range = (*area).__bindgen_anon_1.__bindgen_anon_1;
            (range.vm_start as u64, range.vm_end as u64)
        });
        bindings::mmap_read_unlock(mm);
        range
    }
}

/// # Safety
///
/// The mmap lock of `mm` is held.
unsafe fn special_page_locked(mm: *mut bindings::mm_struct, address: usize) -> Option<PageRef> {
    // SAFETY: the lock is held.
    let area = unsafe { bindings::vma_lookup(mm, address) };
    if area.is_null() {
        return None;
    }
    let mut look = bindings::follow_pfnmap_args {
        vma: area,
        address,
        ..Default::default()
    };
    // SAFETY: area and address belong together, and the lock keeps the area.
    if unsafe { bindings::follow_pfnmap_start(&mut look) } != 0 {
        return None;
    }
    let phys = (look.pfn as u64).wrapping_mul(PAGE_BYTES);
    let page = if is_ordinary_memory(phys) {
        // SAFETY: ordinary memory has a `struct page`; the page table lock keeps the mapping, and
        // with it the page, until we have our own reference.
        unsafe { PageRef::try_get(phys) }
    } else {
        None
    };
    // SAFETY: ends what `follow_pfnmap_start` began.
    unsafe { bindings::follow_pfnmap_end(&mut look) };
    page
}

fn is_ordinary_memory(phys: u64) -> bool {
    const SYSTEM_RAM: usize = bindings::IORESOURCE_SYSTEM_RAM as usize;
    const ANY_DESCRIPTION: usize = 0;
    const INTERSECTS: c_int = 0;
    // SAFETY: any range may be asked for.
    let answer = unsafe {
        bindings::region_intersects(phys, PAGE_BYTES as usize, SYSTEM_RAM, ANY_DESCRIPTION)
    };
    answer == INTERSECTS
}
