// SPDX-License-Identifier: GPL-2.0
//! The anonymous inode that a gate is mapped from.
//!
//! `msync(MS_SYNC)` of a shared mapping calls its file's `fsync` (`mm/msync.c`), with nothing locked and
//! with the range as offsets in the file. So a process calls through a mapping, without a descriptor.

use super::task::AddressSpace;
use super::{compat, extra};
use crate::proto::layout::PAGE_BYTES;
use crate::proto::uapi::gate;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    fs::file::File,
    prelude::*,
    sync::aref::ARef,
    sync::{Arc, ArcBorrow},
};

/// The owner of a gate: what happens when it is called.
pub(crate) trait GateOps: Send + Sync + Sized + 'static {
    /// The operations of its file.
    fn file_operations() -> &'static GateOperations<Self>;

    /// The calling process makes call `index`.
    fn call(&self, index: u64) -> Result;

    /// The calling thread forks, and the gate is copied into `child`.
    fn inherited(&self, child: AddressSpace);

    /// The gate is no longer mapped in `space`.
    fn gone(&self, space: &AddressSpace);
}

/// Operations of files whose gates are `T`'s; they live in a static.
pub(crate) struct GateOperations<T>(
    bindings::file_operations,
    bindings::vm_operations_struct,
    PhantomData<fn(T)>,
);

// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for GateOperations<T> {}

impl<T: GateOps> GateOperations<T> {
    /// The operations call `T`'s. The module stays loaded while a gate is mapped.
    pub(crate) const fn new() -> Self {
        let operations = bindings::file_operations {
            owner: compat::this_module(),
            mmap: Some(mmap::<T>),
            fsync: Some(fsync::<T>),
            release: Some(release::<T>),
            ..pin_init::zeroed()
        };
        let area_operations = bindings::vm_operations_struct {
            open: Some(opened::<T>),
            close: Some(closed::<T>),
            ..pin_init::zeroed()
        };
        Self(operations, area_operations, PhantomData)
    }
}

/// Maps the gate of `owner` at its place in the calling process. EEXIST if something is there.
pub(crate) fn map_gate<T: GateOps>(owner: Arc<T>) -> Result {
    let file = open(owner)?;
    let flags = extra::MAP_SHARED | extra::MAP_FIXED_NOREPLACE;
    // SAFETY: the file is open; the arguments are checked by Linux and by `mmap` below.
    let mapped = unsafe {
        bindings::vm_mmap(
            file.as_ptr(),
            gate::START as c_ulong,
            gate::BYTES as c_ulong,
            extra::PROT_NONE as c_ulong,
            flags as c_ulong,
            0,
        )
    };
    i32::try_from(mapped as isize).map_or(Ok(()), |errno| to_result(errno.min(0)))
}

fn open<T: GateOps>(owner: Arc<T>) -> Result<ARef<File>> {
    let private = Arc::into_raw(owner);
    // SAFETY: name and operations live for ever; the file takes over the reference in `private`.
    let file = from_err_ptr(unsafe {
        extra::anon_inode_create_getfile(
            c"[mckernel-gate]".as_char_ptr(),
            &T::file_operations().0,
            private.cast_mut().cast(),
            (bindings::O_RDWR | bindings::O_CLOEXEC) as c_int,
            core::ptr::null(),
        )
    });
    let file = file
        .and_then(|file| NonNull::new(file).ok_or(ENOMEM))
        .inspect_err(|_| {
            // SAFETY: no file was made, so the reference is still ours.
            drop(unsafe { Arc::from_raw(private) });
        })?;
    // SAFETY: we own the one reference to this fresh file, which nobody uses by `fdget_pos`.
    Ok(unsafe { ARef::from_raw(file.cast::<File>()) })
}

/// No page of it is ever there, and nobody maps it elsewhere.
///
/// # Safety
///
/// Called by Linux for a gate file, with the new area and the mmap lock held for writing.
unsafe extern "C" fn mmap<T: GateOps>(
    _file: *mut bindings::file,
    area: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: Linux passes a new area that is ours to set up.
    let new = unsafe { kernel::mm::virt::VmaNew::from_raw(area) };
    let whole = (gate::START, gate::START.saturating_add(gate::BYTES));
    if (new.start() as u64, new.end() as u64) != whole {
        return EINVAL.to_errno();
    }
    new.set_dontdump();
    new.set_dontexpand();
    // SAFETY: setting up the area is our right here; the operations live for ever.
    unsafe { (*area).vm_ops = &T::file_operations().1 };
    0
}

/// The owner of the gate that `area` is mapped from, and its address space.
///
/// # Safety
///
/// `area` is a gate's of a `T`, and exists during `'a`.
unsafe fn parts<'a, T>(area: *mut bindings::vm_area_struct) -> (ArcBorrow<'a, T>, AddressSpace) {
    // SAFETY: the caller's promise; the area keeps its file, and that its owner.
    unsafe {
        let owner = (*(*area).vm_file).private_data.cast::<T>();
        (
            ArcBorrow::from_raw(owner),
            AddressSpace((*area).vm_mm as usize),
        )
    }
}

/// Linux has copied the area: a part of it was cut off, or a process forks.
///
/// # Safety
///
/// Called by Linux for an area of a `T`'s gate.
unsafe extern "C" fn opened<T: GateOps>(area: *mut bindings::vm_area_struct) {
    // SAFETY: passed on.
    let (owner, space) = unsafe { parts::<T>(area) };
    if !space.is_current() {
        owner.inherited(space);
    }
}

/// # Safety
///
/// Called by Linux for an area of a `T`'s gate that goes.
unsafe extern "C" fn closed<T: GateOps>(area: *mut bindings::vm_area_struct) {
    // SAFETY: passed on.
    let (owner, space) = unsafe { parts::<T>(area) };
    owner.gone(&space);
}

/// # Safety
///
/// Called by Linux for a gate file of `T`'s, which is open during the call; nothing is locked.
unsafe extern "C" fn fsync<T: GateOps>(
    file: *mut bindings::file,
    start: bindings::loff_t,
    _end: bindings::loff_t,
    _data_only: c_int,
) -> c_int {
    // SAFETY: the field holds what `Arc::into_raw` returned, and the open file keeps that reference.
    let owner = unsafe { ArcBorrow::from_raw((*file).private_data.cast::<T>()) };
    let index = (start as u64) / PAGE_BYTES;
    owner
        .call(index)
        .map_or_else(|error| error.to_errno(), |()| 0)
}

/// # Safety
///
/// Called by Linux when the last reference to a gate file of `T`'s is gone.
unsafe extern "C" fn release<T: GateOps>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: the file gives its reference back; nobody uses the field afterwards.
    drop(unsafe { Arc::from_raw((*file).private_data.cast::<T>().cast_const()) });
    0
}
