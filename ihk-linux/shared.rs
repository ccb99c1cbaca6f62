// SPDX-License-Identifier: GPL-2.0
//! Structures in partition memory, which both kernels use at the same time.

use crate::ffi::pages;
use crate::proto::layout::Region;
use core::ops::Deref;
use core::ptr::NonNull;
use kernel::prelude::*;

/// A `T` made of atomics in partition memory.
pub(crate) struct Shared<T>(NonNull<T>);

// SAFETY: memory belongs to no task or CPU; `T` is for use by many at once.
unsafe impl<T: Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The `index`-th `T` of `region`.
    ///
    /// # Safety
    ///
    /// `region` must lie in memory that stays ours as long as the value lives; any bytes must be a
    /// valid `T`, and `T` must change through atomics only.
    pub(crate) unsafe fn in_region(region: Region, index: usize) -> Result<Self> {
        let offset = index.checked_mul(size_of::<T>()).ok_or(EINVAL)?;
        let end = offset.checked_add(size_of::<T>()).ok_or(EINVAL)?;
        let pointer = pages::to_virtual(region.phys)
            .wrapping_add(offset)
            .cast::<T>();
        if end as u64 > region.bytes || !pointer.is_aligned() {
            return Err(EINVAL);
        }
        NonNull::new(pointer).map(Self).ok_or(EINVAL)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the promises made to `in_region`.
        unsafe { self.0.as_ref() }
    }
}

/// Zeroes `region`.
///
/// # Safety
///
/// `region` must be ours, and no one may look at it.
pub(crate) unsafe fn clear(region: Region) {
    // SAFETY: the caller's promise.
    unsafe { pages::to_virtual(region.phys).write_bytes(0, region.bytes as usize) };
}

/// Copies `bytes` to the start of `region`; they must fit.
///
/// # Safety
///
/// `region` must be ours, and no one may look at it.
pub(crate) unsafe fn fill(region: Region, bytes: &[u8]) -> Result {
    if bytes.len() as u64 > region.bytes {
        return Err(E2BIG);
    }
    // SAFETY: the caller's promise, and the length is checked.
    unsafe {
        core::ptr::copy_nonoverlapping(bytes.as_ptr(), pages::to_virtual(region.phys), bytes.len());
    }
    Ok(())
}
