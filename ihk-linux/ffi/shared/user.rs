// SPDX-License-Identifier: GPL-2.0
//! Copying from and to user space: whole structures, which are the arguments of ioctls, and bytes.

use crate::proto::{process::CreateMailbox, uapi};
use core::{mem::MaybeUninit, ptr::NonNull};
use kernel::{
    alloc::flags::__GFP_ZERO, bindings, prelude::*, uaccess::UserPtr, uaccess::UserSlice,
};

/// Structures made of integers only, without padding: every byte pattern is a value and every byte
/// of a value may be shown to user space.
///
/// # Safety
///
/// The implementor has looked at the structure's layout.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {$(
        // SAFETY: integers and arrays of integers; the sizes that the contract asserts leave no
        // room for padding.
        unsafe impl Plain for $t {}
    )*};
}
plain!(
    u32,
    u64,
    CreateMailbox,
    uapi::AdoptProcess,
    uapi::ControlEvent,
    uapi::CopyData,
    uapi::CpuSet,
    uapi::Carried,
    uapi::CreateProcess,
    uapi::Execute,
    uapi::gate::Call,
    uapi::ForwardSignal,
    uapi::IkcMap,
    uapi::LoadImage,
    uapi::MemorySpec,
    uapi::MirrorPage,
    uapi::FileRange,
    uapi::Permit,
    uapi::Query,
    uapi::ReadKmsg,
    uapi::ReadMemory,
    uapi::StartProcess,
    uapi::StopOptions,
    uapi::Text,
    uapi::Usage,
    uapi::WindowPart,
);

/// A structure of zeroes, on the heap.
pub(crate) fn zeroed<T: Plain>() -> Result<KBox<T>> {
    let value = KBox::<T>::new_uninit(GFP_KERNEL | __GFP_ZERO)?;
    // SAFETY: zeroed memory makes a value (`Plain`).
    Ok(unsafe { value.assume_init() })
}

/// Copies a structure in; on the heap, because some are large. EFAULT for a bad address.
pub(crate) fn read<T: Plain>(address: usize) -> Result<KBox<T>> {
    let mut value = KBox::<T>::new_uninit(GFP_KERNEL)?;
    let bytes: *mut MaybeUninit<u8> = value.as_mut_ptr().cast();
    // SAFETY: the box is that many bytes long and ours alone; `read_raw` only writes.
    let bytes = unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<T>()) };
    UserSlice::new(UserPtr::from_addr(address), size_of::<T>())
        .reader()
        .read_raw(bytes)?;
    // SAFETY: all bytes were written, and any bytes make a value (`Plain`).
    Ok(unsafe { value.assume_init() })
}

/// Copies a structure out. EFAULT for a bad address.
pub(crate) fn write<T: Plain>(address: usize, value: &T) -> Result {
    write_all(address, core::slice::from_ref(value))
}

/// Copies structures out, one behind the other. EFAULT for a bad address.
pub(crate) fn write_all<T: Plain>(address: usize, values: &[T]) -> Result {
    // SAFETY: `Plain` values are readable bytes without padding.
    let bytes = unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
    write_bytes(address, bytes)
}

/// Copies bytes out. EFAULT for a bad address, with part copied.
pub(crate) fn write_bytes(address: usize, bytes: &[u8]) -> Result {
    UserSlice::new(UserPtr::from_addr(address), bytes.len())
        .writer()
        .write_slice(bytes)
}

/// Fills `target` from user space. EFAULT for a bad address, with part copied.
pub(crate) fn read_bytes(address: usize, target: &mut [u8]) -> Result {
    UserSlice::new(UserPtr::from_addr(address), target.len())
        .reader()
        .read_slice(target)
}

/// Copies `bytes` bytes from user space to `memory`. EFAULT for a bad address, with part copied.
///
/// # Safety
///
/// `memory` is valid for writes of `bytes` bytes, which may change under others' eyes.
pub(crate) unsafe fn copy_from(address: usize, memory: NonNull<u8>, bytes: usize) -> Result {
    let source = core::ptr::with_exposed_provenance(address);
    // SAFETY: the caller's promise; Linux checks the other side.
    let left =
        unsafe { bindings::_copy_from_user(memory.as_ptr().cast(), source, bytes as c_ulong) };
    (left == 0).then_some(()).ok_or(EFAULT)
}

/// Copies `bytes` bytes of `memory` to user space. EFAULT for a bad address, with part copied.
///
/// # Safety
///
/// `memory` is valid for reads of `bytes` bytes, which others may change meanwhile.
pub(crate) unsafe fn copy_to(address: usize, memory: NonNull<u8>, bytes: usize) -> Result {
    let target = core::ptr::with_exposed_provenance_mut(address);
    // SAFETY: as above.
    let left = unsafe { bindings::_copy_to_user(target, memory.as_ptr().cast(), bytes as c_ulong) };
    (left == 0).then_some(()).ok_or(EFAULT)
}

/// Whether a byte can be read at `address`; faults the page in.
pub(crate) fn touch(address: usize) -> bool {
    read_bytes(address, &mut [0]).is_ok()
}
