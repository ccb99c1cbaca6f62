// SPDX-License-Identifier: GPL-2.0
//! Arguments of ioctls: whole structures to and from user space.

use crate::proto::{process::CreateMailbox, uapi};
use core::mem::MaybeUninit;
use kernel::{alloc::flags::__GFP_ZERO, prelude::*, uaccess::UserPtr, uaccess::UserSlice};

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

/// Whether a byte can be read at `address`; faults the page in.
pub(crate) fn touch(address: usize) -> bool {
    let mut byte = [0];
    UserSlice::new(UserPtr::from_addr(address), 1)
        .reader()
        .read_slice(&mut byte)
        .is_ok()
}
