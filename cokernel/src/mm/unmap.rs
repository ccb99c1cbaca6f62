// SPDX-License-Identifier: GPL-2.0
//! Taking ranges out of an address space: areas, pages, Linux's mappings. All of it under the
//! layout lock, which the caller holds.

use cokernel_logic::vma::Range;
use ihk_ikc::layout::LARGE_PAGE_BYTES;

use crate::mm::{revoke, window};
use crate::syscall::errno::Errno;
use crate::task::process::Process;

/// Removes everything in `range`; its addresses may be used again afterwards.
///
/// # Errors
///
/// `ENOMEM`: no frame to cut a large page at an edge; nothing was changed.
pub fn unmap(process: &Process, range: Range) -> Result<(), Errno> {
    empty(process, range)?;
    process.space.with(|inner| inner.areas.remove(range));
    Ok(())
}

/// Frees all pages in `range`; the areas stay, and zeroed memory comes at the next touch.
///
/// # Errors
///
/// As [`unmap`].
pub fn empty(process: &Process, range: Range) -> Result<(), Errno> {
    let pages = process.space.with(|inner| inner.take_pages(range))?;
    if pages.is_empty() {
        return Ok(());
    }
    process.space.flush(range);
    let linux_had_some = revoke::release(&process.revoke_request(range), &pages);
    if linux_had_some && range.bytes() >= LARGE_PAGE_BYTES {
        window::drop_tables(range);
    }
    Ok(())
}
