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

/// Most bytes of a [`Draft`]; who wants more asks again.
const DRAFT_BYTES: u64 = 1 << 20;

/// An answer that is put together under a lock, and copied to user space without it.
pub(crate) struct Draft {
    memory: KVVec<u8>,
    filled: usize,
}

impl Draft {
    /// An empty one, with room for `bytes` bytes, or the most that there may be. ENOMEM.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        let mut memory = KVVec::new();
        memory.resize(bytes.min(DRAFT_BYTES) as usize, 0, GFP_KERNEL)?;
        Ok(Self { memory, filled: 0 })
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.filled as u64
    }

    /// Bytes for which there is room still.
    pub(crate) fn room(&self) -> u64 {
        (self.memory.len() - self.filled) as u64
    }

    /// Adds `bytes` bytes. EINVAL: there is no room for them.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `bytes`. Somebody else may change it meanwhile.
    pub(crate) unsafe fn add(&mut self, from: *const u8, bytes: usize) -> Result {
        let end = self.filled.checked_add(bytes).ok_or(EINVAL)?;
        let target = self.memory.as_mut_slice().get_mut(self.filled..end);
        let target = target.ok_or(EINVAL)?;
        // SAFETY: the target is ours and as long; the caller's promise for the rest. It is Linux's own copying
        // for memory that may change meanwhile.
        unsafe { bindings::memcpy(target.as_mut_ptr().cast(), from.cast(), bytes) };
        self.filled = end;
        Ok(())
    }

    /// Copies it to user address `to`.
    pub(crate) fn copy_out(&self, to: u64) -> Result {
        let to = usize::try_from(to).map_err(|_| EFAULT)?;
        // SAFETY: so many bytes are ours.
        unsafe { copy_out(to, self.memory.as_ptr(), self.filled) }
    }
}

/// Copies `bytes` bytes to user address `to`.
///
/// # Safety
///
/// `from` must be readable for `bytes`.
unsafe fn copy_out(to: usize, from: *const u8, bytes: usize) -> Result {
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
