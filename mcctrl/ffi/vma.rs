// SPDX-License-Identifier: GPL-2.0
//! Memory areas of the window: their setup, their operations, and one page fault as a value. What is
//! done about a fault is for the window's owner to say, see [`AreaOps`].

use super::compat;
use super::ihk::Frame;
use super::page::{self, PageRef};
use crate::proto::layout::PAGE_BYTES;
use core::marker::PhantomData;
use kernel::{
    bindings,
    mm::virt::VmaNew,
    prelude::*,
    sync::{Arc, ArcBorrow},
};

/// The owner of a window: what the areas do that are mapped from its file.
pub(crate) trait AreaOps: Send + Sync + Sized + 'static {
    /// The operations of its areas.
    fn area_operations() -> &'static AreaOperations<Self>;

    /// A page is touched that is not mapped.
    fn fault(this: Arc<Self>, fault: Fault<'_>) -> Outcome;

    /// A page is touched that is not mapped, and 2 MiB may be mapped at once.
    fn large_fault(&self, fault: &Fault<'_>) -> Outcome;

    /// Drops what is mapped of [`start`, `+ bytes`) of the file.
    fn zap(&self, start: u64, bytes: u64);
}

/// The owner of a window.
///
/// # Safety
///
/// `file` was opened for the window of a `T`, and is open during `'a`.
pub(super) unsafe fn owner_of<'a, T>(file: *mut bindings::file) -> ArcBorrow<'a, T> {
    // SAFETY: the field holds what `Arc::into_raw` returned, and the file keeps that reference.
    unsafe { ArcBorrow::from_raw((*file).private_data.cast::<T>()) }
}

/// An area that mmap is setting up.
pub(crate) struct NewArea<'a>(&'a VmaNew);

impl NewArea<'_> {
    /// # Safety
    ///
    /// As for [`VmaNew::from_raw`]: during `mmap` of a file only.
    pub(super) unsafe fn from_raw(area: *mut bindings::vm_area_struct) -> Self {
        // SAFETY: passed on.
        Self(unsafe { VmaNew::from_raw(area) })
    }

    /// First address.
    pub(crate) fn start(&self) -> u64 {
        self.0.start() as u64
    }

    /// One past the last address.
    pub(crate) fn end(&self) -> u64 {
        self.0.end() as u64
    }

    /// Offset in the file, bytes.
    pub(crate) fn offset(&self) -> u64 {
        // SAFETY: the area is valid.
        (unsafe { (*self.0.as_ptr()).vm_pgoff } as u64).saturating_mul(PAGE_BYTES)
    }

    /// Whether it is a shared mapping.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.flags() & kernel::mm::virt::flags::SHARED != 0
    }

    /// Makes it a part of the window of a `T`: not inherited by fork, not dumped, not grown, served by
    /// [`AreaOps::fault`]. Parts of it may become executable, though the file system is none of
    /// programs.
    ///
    /// # Safety
    ///
    /// The area's file must be that of the window of a `T`.
    pub(super) unsafe fn become_window<T: AreaOps>(&self) {
        self.0.set_dontcopy();
        self.0.set_dontdump();
        self.0.set_dontexpand();
        // SAFETY: setting up the area is our right in mmap; the operations live for ever.
        unsafe { (*self.0.as_ptr()).vm_ops = &T::area_operations().0 };
        // SAFETY: as above; nobody else sees the area's flags yet.
        unsafe { (*self.0.as_ptr()).__bindgen_anon_2.vm_flags |= bindings::VM_MAYEXEC as c_ulong };
    }
}

/// Operations of areas that are mapped from windows of `T`s; they live in a static.
pub(crate) struct AreaOperations<T>(bindings::vm_operations_struct, PhantomData<fn(T)>);

// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for AreaOperations<T> {}

impl<T: AreaOps> AreaOperations<T> {
    /// The operations call `T`'s.
    pub(crate) const fn new() -> Self {
        let operations = bindings::vm_operations_struct {
            fault: Some(on_fault::<T>),
            huge_fault: Some(on_huge_fault::<T>),
            map_pages: Some(on_map_pages),
            mprotect: Some(on_mprotect::<T>),
            get_policy: Some(on_get_policy),
            ..pin_init::zeroed()
        };
        Self(operations, PhantomData)
    }
}

/// # Safety
///
/// Called by Linux for an area of a `T`'s window, with its lock or the mmap lock held.
unsafe extern "C" fn on_fault<T: AreaOps>(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY: passed on.
    let fault = unsafe { Fault::from_raw(vmf) };
    // SAFETY: the area is one of a `T`'s, and keeps its file as long as its lock is held.
    let owner = unsafe { fault.owner::<T>() };
    // A reference of its own: the lock may be dropped, and then the area may go.
    T::fault(owner.into(), fault).code()
}

/// # Safety
///
/// As [`on_fault`].
unsafe extern "C" fn on_huge_fault<T: AreaOps>(
    vmf: *mut bindings::vm_fault,
    order: c_uint,
) -> bindings::vm_fault_t {
    const PMD_ORDER: c_uint = 9;
    if order != PMD_ORDER {
        return Outcome::Fallback.code();
    }
    // SAFETY: passed on.
    let fault = unsafe { Fault::from_raw(vmf) };
    // SAFETY: the area is one of a `T`'s, and its lock stays held.
    let owner = unsafe { fault.owner::<T>() };
    owner.large_fault(&fault).code()
}

/// Maps nothing; its presence lets [`on_fault`] run under the area's own lock, which halves the
/// cost of a fault.
extern "C" fn on_map_pages(
    _: *mut bindings::vm_fault,
    _: c_ulong,
    _: c_ulong,
) -> bindings::vm_fault_t {
    0
}

/// A part becomes writable or executable: pages mapped there were not resolved as that (the co-kernel
/// may share them, or not let them be executed), so they are dropped and come back by faults.
///
/// # Safety
///
/// Called by Linux for an area of a `T`'s window, with the mmap lock held for writing.
unsafe extern "C" fn on_mprotect<T: AreaOps>(
    area: *mut bindings::vm_area_struct,
    start: c_ulong,
    end: c_ulong,
    flags: c_ulong,
) -> c_int {
    let watched = (bindings::VM_WRITE | bindings::VM_EXEC) as c_ulong;
    // SAFETY: the area is valid.
    let (was, offset, first) = unsafe {
        (
            (*area).__bindgen_anon_2.vm_flags as c_ulong,
            (*area).vm_pgoff,
            (*area).__bindgen_anon_1.__bindgen_anon_1.vm_start,
        )
    };
    if flags & watched & !was == 0 {
        return 0;
    }
    const TASK_UNINTERRUPTIBLE: c_int = 2;
    // From here until the mmap lock is dropped no fault of this area is under way.
    // SAFETY: the mmap lock is held for writing.
    unsafe { bindings::__vma_start_write(area, TASK_UNINTERRUPTIBLE) };
    // SAFETY: the area is one of a `T`'s, and the lock keeps it and with it its file.
    let owner = unsafe { owner_of::<T>((*area).vm_file) };
    let from = (offset as u64)
        .wrapping_mul(PAGE_BYTES)
        .wrapping_add(start.wrapping_sub(first) as u64);
    owner.zap(from, end.saturating_sub(start) as u64);
    0
}

/// No memory policy, which also keeps NUMA balancing away.
extern "C" fn on_get_policy(
    _: *mut bindings::vm_area_struct,
    _: c_ulong,
    _: *mut c_ulong,
) -> *mut bindings::mempolicy {
    core::ptr::null_mut()
}

/// The end of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The page tables are filled, or have changed: try the access again.
    Done,
    /// No large page here: ask for a small one.
    Fallback,
    /// No such address for the program: SIGSEGV, EFAULT in system calls.
    NoSuchAddress,
    /// The memory is gone or cannot be provided: SIGBUS, EFAULT in system calls.
    Broken,
    /// Try again; the lock is still held (the caller does not want to wait).
    WouldWait,
    /// Try again; the lock has been dropped.
    Waited,
}

impl Outcome {
    fn code(self) -> bindings::vm_fault_t {
        (match self {
            Self::Done => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            Self::Fallback => bindings::vm_fault_reason_VM_FAULT_FALLBACK,
            Self::NoSuchAddress => bindings::vm_fault_reason_VM_FAULT_SIGSEGV,
            Self::Broken => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
            Self::WouldWait => bindings::vm_fault_reason_VM_FAULT_RETRY,
            // MAJOR makes the next try carry "tried".
            Self::Waited => {
                bindings::vm_fault_reason_VM_FAULT_RETRY | bindings::vm_fault_reason_VM_FAULT_MAJOR
            }
        }) as bindings::vm_fault_t
    }
}

/// A fault in a window area, with the lock of the area or of the address space held.
pub(crate) struct Fault<'a> {
    vmf: *mut bindings::vm_fault,
    _lock: PhantomData<&'a ()>,
}

impl<'a> Fault<'a> {
    /// # Safety
    ///
    /// `vmf` is what Linux passed to one of the [`AreaOperations`], and that call lasts for `'a`.
    unsafe fn from_raw(vmf: *mut bindings::vm_fault) -> Self {
        Self {
            vmf,
            _lock: PhantomData,
        }
    }

    fn area(&self) -> *mut bindings::vm_area_struct {
        // SAFETY: by `from_raw`.
        unsafe { (*self.vmf).__bindgen_anon_1.vma }
    }

    /// The owner of the window.
    ///
    /// # Safety
    ///
    /// The window must be a `T`'s, and the lock stay held for `'a`.
    unsafe fn owner<T: AreaOps>(&self) -> ArcBorrow<'a, T> {
        // SAFETY: the caller's promise; the area keeps its file.
        unsafe { owner_of((*self.area()).vm_file) }
    }

    /// Address of the faulting page.
    pub(crate) fn address(&self) -> u64 {
        // SAFETY: by `from_raw`.
        unsafe { (*self.vmf).__bindgen_anon_1.address as u64 & !(PAGE_BYTES - 1) }
    }

    /// Its offset in the window file: the program's address, or a slot page.
    pub(crate) fn offset(&self) -> u64 {
        // SAFETY: by `from_raw`.
        (unsafe { (*self.vmf).__bindgen_anon_1.pgoff } as u64).wrapping_mul(PAGE_BYTES)
    }

    /// First address of the area and one past its last.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        // SAFETY: the lock keeps the area as it is.
        let range = unsafe { (*self.area()).__bindgen_anon_1.__bindgen_anon_1 };
        (range.vm_start as u64, range.vm_end as u64)
    }

    /// Whether the area may be written.
    pub(crate) fn is_writable(&self) -> bool {
        // SAFETY: the lock keeps the area as it is.
        (unsafe { (*self.area()).__bindgen_anon_2.vm_flags } as u64) & bindings::VM_WRITE as u64
            != 0
    }

    /// Whether the area may be executed.
    pub(crate) fn is_executable(&self) -> bool {
        // SAFETY: the lock keeps the area as it is.
        (unsafe { (*self.area()).__bindgen_anon_2.vm_flags } as u64) & bindings::VM_EXEC as u64 != 0
    }

    /// Whether the pages around are wanted, too: not if the area was advised to be random.
    pub(crate) fn wants_neighbours(&self) -> bool {
        const RANDOM: u64 = 1 << bindings::VMA_RAND_READ_BIT;
        // SAFETY: the lock keeps the area as it is.
        (unsafe { (*self.area()).__bindgen_anon_2.vm_flags } as u64) & RANDOM == 0
    }

    fn has(&self, flag: bindings::fault_flag) -> bool {
        // SAFETY: by `from_raw`.
        unsafe { (*self.vmf).flags & flag != 0 }
    }

    /// Whether this access has been tried before.
    pub(crate) fn is_second_try(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_TRIED)
    }

    /// Whether the caller would rather fail than wait.
    pub(crate) fn must_not_wait(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY)
            && self.has(bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT)
    }

    /// Whether the lock may be dropped for waiting.
    pub(crate) fn may_unlock(&self) -> bool {
        self.has(bindings::fault_flag_FAULT_FLAG_ALLOW_RETRY)
            && !self.has(bindings::fault_flag_FAULT_FLAG_RETRY_NOWAIT)
    }

    /// Drops the lock. Only if [`Self::may_unlock`]; the fault must end as [`Outcome::Waited`].
    pub(crate) fn unlock(self) {
        let area = self.area();
        // SAFETY: Linux holds exactly one of the two locks for us and allowed us to drop it.
        unsafe {
            if self.has(bindings::fault_flag_FAULT_FLAG_VMA_LOCK) {
                bindings::vma_end_read(area);
            } else {
                bindings::mmap_read_unlock((*area).vm_mm);
            }
        }
    }

    /// Maps `frame` at `address`, a page of this area below the same page table. An entry that is
    /// already there stays. It is writable if the area is.
    pub(crate) fn insert(&self, address: u64, frame: Frame) -> Outcome {
        self.insert_page(address, page::page_at(frame.phys))
    }

    /// Maps a page that is not of the partition.
    pub(crate) fn insert_own(&self, address: u64, page: &PageRef) -> Outcome {
        self.insert_page(address, page.as_ptr())
    }

    fn insert_page(&self, address: u64, page: *mut bindings::page) -> Outcome {
        // SAFETY: a fault description is plain data; the copy describes the page at `address`.
        let mut here = unsafe { *self.vmf };
        here.__bindgen_anon_1.address = address as usize;
        // SAFETY: the lock is held and the page is valid. "Not for writing" leaves an entry that
        // is there alone instead of warning that it differs.
        let code = unsafe { bindings::vmf_insert_page_mkwrite(&mut here, page, false) };
        let no_table = code == bindings::vm_fault_reason_VM_FAULT_OOM as bindings::vm_fault_t;
        if no_table && self.has_large_entry() {
            // Another fault has just mapped 2 MiB here, so there is no table for small pages.
            return Outcome::Done;
        }
        Self::outcome(code)
    }

    /// Whether an entry for 2 MiB maps the page that faulted, at this moment.
    fn has_large_entry(&self) -> bool {
        const PRESENT_AND_LARGE: u64 = 1 << 0 | 1 << 7;
        // SAFETY: by `from_raw`; Linux has found the entry before it asked for a small page, and the lock
        // keeps the table that it is in.
        let entry = unsafe { (*self.vmf).pmd };
        if entry.is_null() {
            return false;
        }
        // SAFETY: as above; others change the word atomically.
        let word = unsafe { entry.cast::<u64>().read_volatile() };
        word & PRESENT_AND_LARGE == PRESENT_AND_LARGE
    }

    /// Maps the whole folio that `frame` is the first frame of.
    pub(crate) fn insert_large(&self, frame: Frame) -> Outcome {
        // SAFETY: the lock is held; partition memory is folios of this order.
        unsafe { compat::insert_large_folio(self.vmf, page::folio_at(frame.phys)) }
            .map_or(Outcome::Fallback, Self::outcome)
    }

    fn outcome(code: bindings::vm_fault_t) -> Outcome {
        if code == bindings::vm_fault_reason_VM_FAULT_NOPAGE as bindings::vm_fault_t {
            Outcome::Done
        } else {
            Outcome::Broken
        }
    }
}
