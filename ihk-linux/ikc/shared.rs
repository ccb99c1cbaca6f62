// SPDX-License-Identifier: GPL-2.0
//! Structures in partition memory, which both kernels use at the same time.

use crate::ffi::pages;
use crate::proto::layout::{Region, PAGE_BYTES};
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

/// Puts `bytes` at the start of `region`, in which they must fit, and zeroes behind them.
///
/// Pages that have their content already are left alone. After the first boot these are those with
/// code, and whoever writes where instructions were fetched from makes the machine look for each
/// write whether it holds them still.
///
/// # Safety
///
/// `region` must be ours, and no one may look at it.
pub(crate) unsafe fn fill(region: Region, bytes: &[u8]) -> Result {
    let length = usize::try_from(region.bytes).map_err(|_| E2BIG)?;
    if bytes.len() > length {
        return Err(E2BIG);
    }
    // SAFETY: the caller's promise.
    let target = unsafe { core::slice::from_raw_parts_mut(pages::to_virtual(region.phys), length) };
    for (index, old) in target.chunks_mut(PAGE_BYTES as usize).enumerate() {
        let start = bytes.len().min(index * PAGE_BYTES as usize);
        let end = bytes.len().min(start + old.len());
        let new = bytes.get(start..end).unwrap_or_default();
        put(old, new);
    }
    Ok(())
}

/// Makes `old` hold `new`, which is no longer, and zeroes.
fn put(old: &mut [u8], new: &[u8]) {
    let (first, rest) = old.split_at_mut(new.len());
    if *first != *new {
        first.copy_from_slice(new);
    }
    if rest.iter().any(|byte| *byte != 0) {
        rest.fill(0);
    }
}
