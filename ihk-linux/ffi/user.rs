// SPDX-License-Identifier: GPL-2.0
//! Copying ioctl arguments from and to user space.

use crate::proto::uapi;
use core::mem::MaybeUninit;
use core::ptr::addr_of;
use kernel::bindings;
use kernel::prelude::*;

/// Types that any bytes make a valid value of, without padding, so that they may cross whole.
///
/// # Safety
///
/// Only for `repr(C)` types of integers without padding.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),* $(,)?) => {$(
        // SAFETY: integers only; the contract asserts the sizes.
        unsafe impl Plain for $t {}
    )*};
}
plain!(
    u32,
    u64,
    uapi::CpuSet,
    uapi::MemorySpec,
    uapi::StopOptions,
    uapi::LoadImage,
    uapi::Text,
    uapi::Usage,
    uapi::ReadKmsg,
    uapi::ReadMemory,
    uapi::IkcMap,
);

/// Reads a value from user address `from`. Large ones stay off the stack.
pub(crate) fn read<T: Plain>(from: usize) -> Result<KBox<T>> {
    let mut value = KBox::<T>::new_uninit(GFP_KERNEL)?;
    let target: *mut MaybeUninit<T> = &mut *value;
    // SAFETY: the target is ours and as large as said.
    let left =
        unsafe { bindings::copy_from_user(target.cast(), from as *const c_void, size_of::<T>()) };
    if left != 0 {
        return Err(EFAULT);
    }
    // SAFETY: all bytes are written, and any bytes are a valid `T`.
    Ok(unsafe { value.assume_init() })
}

/// Writes a value to user address `to`.
pub(crate) fn write<T: Plain>(to: usize, value: &T) -> Result {
    // SAFETY: a `Plain` value has no uninitialised bytes.
    unsafe { copy_out(to, addr_of!(*value).cast(), size_of::<T>()) }
}

/// Copies `bytes` bytes to user address `to`.
///
/// # Safety
///
/// `from` must be readable for `bytes`. Somebody else may change it meanwhile.
pub(crate) unsafe fn copy_out(to: usize, from: *const u8, bytes: usize) -> Result {
    // SAFETY: the caller's promise; Linux checks the user address.
    let left = unsafe { bindings::copy_to_user(to as *mut c_void, from.cast(), bytes) };
    if left == 0 {
        Ok(())
    } else {
        Err(EFAULT)
    }
}

/// Fills `target` from user address `from`.
pub(crate) fn copy_in(target: &mut [u8], from: usize) -> Result {
    // SAFETY: the target is ours; Linux checks the user address.
    let left = unsafe {
        bindings::copy_from_user(
            target.as_mut_ptr().cast(),
            from as *const c_void,
            target.len(),
        )
    };
    if left == 0 {
        Ok(())
    } else {
        Err(EFAULT)
    }
}

/// Refuses callers that may not steer instances.
pub(crate) fn require_admin() -> Result {
    const CAPABILITY: c_int = bindings::CAP_SYS_ADMIN as c_int;
    // SAFETY: no requirement.
    if unsafe { bindings::capable(CAPABILITY) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}
