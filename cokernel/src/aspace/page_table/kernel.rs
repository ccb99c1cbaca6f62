// SPDX-License-Identifier: GPL-2.0
//! The kernel's own tables. Their top-level entries come into being at boot only, because programs'
//! tables copy them.

use x86_64::PhysAddr;

use super::{MapError, PageTable};
use crate::arch::pte::{self, Flags, PageSize};
use crate::frames::owned::OwnedRun;
use crate::sync::SpinLock;

/// The kernel's own tables, once they are there.
static KERNEL: SpinLock<Option<PageTable>> = SpinLock::new(None);

/// Makes `tables` the kernel's, for ever. Boot only.
///
/// # Safety
///
/// They map the image and the partition as the linker script and `ihk_ikc::layout` say.
pub unsafe fn set_kernel(tables: PageTable) {
    // SAFETY: by contract they map what the kernel needs; they are kept below.
    unsafe { pte::set_kernel_root(tables.root()) };
    *KERNEL.lock() = Some(tables);
}

/// Maps a page of the kernel in every address space; see [`PageTable::map_unowned`].
///
/// # Errors
///
/// [`MapError`] says why nothing was mapped.
///
/// # Safety
///
/// As for [`PageTable::map_unowned`].
pub unsafe fn map_kernel(
    va: u64,
    pa: PhysAddr,
    size: PageSize,
    flags: Flags,
) -> Result<(), MapError> {
    let mut tables = KERNEL.lock();
    let tables = tables.as_mut().ok_or(MapError::OutOfFrames)?;
    // SAFETY: the caller's promise.
    unsafe { tables.map_unowned(va, pa, size, flags) }
}

/// Maps `frame`, one frame, for the kernel, for ever, in every address space.
///
/// # Errors
///
/// [`MapError`] says why it was not mapped; it is free again.
pub fn map_kernel_frame(va: u64, frame: OwnedRun, flags: Flags) -> Result<(), MapError> {
    // SAFETY: the frame is nobody else's, and nothing has been there.
    unsafe { map_kernel(va, frame.start(), PageSize::Small, flags)? };
    let _ = frame.into_raw();
    Ok(())
}
