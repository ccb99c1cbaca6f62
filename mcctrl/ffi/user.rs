// SPDX-License-Identifier: GPL-2.0
//! Arguments of ioctls: whole structures to and from user space.

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

// SAFETY: integers and arrays of integers; the sizes asserted in `uapi` leave no room for padding.
unsafe impl Plain for uapi::CreateProcess {}
// SAFETY: as above.
unsafe impl Plain for uapi::StartProcess {}
// SAFETY: as above.
unsafe impl Plain for uapi::Populate {}
// SAFETY: as above.
unsafe impl Plain for uapi::CopyData {}
// SAFETY: as above.
unsafe impl Plain for uapi::ForwardSignal {}
// SAFETY: as above.
unsafe impl Plain for uapi::ControlEvent {}
// SAFETY: as above.
unsafe impl Plain for uapi::AdoptProcess {}
// SAFETY: as above.
unsafe impl Plain for uapi::MirrorPage {}
// SAFETY: as above.
unsafe impl Plain for uapi::WindowPart {}

// SAFETY: as above.
unsafe impl Plain for uapi::Query {}
// SAFETY: as above.
unsafe impl Plain for CreateMailbox {}

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
    let bytes: *const u8 = core::ptr::from_ref(value).cast();
    // SAFETY: a `Plain` value is readable bytes without padding.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, size_of::<T>()) };
    UserSlice::new(UserPtr::from_addr(address), size_of::<T>())
        .writer()
        .write_slice(bytes)
}

/// Copies words out. EFAULT for a bad address.
pub(crate) fn write_words(address: usize, words: &[u64]) -> Result {
    // SAFETY: words are readable bytes without padding.
    let bytes = unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) };
    UserSlice::new(UserPtr::from_addr(address), bytes.len())
        .writer()
        .write_slice(bytes)
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
    let mut byte = [0];
    UserSlice::new(UserPtr::from_addr(address), 1)
        .reader()
        .read_slice(&mut byte)
        .is_ok()
}
