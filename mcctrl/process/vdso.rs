// SPDX-License-Identifier: GPL-2.0
//! Linux's vvar and vdso pages, as mcexec sees them, for the program to map: time is then exactly
//! Linux's, including steps and time namespaces.

use crate::ffi::page::PageRef;
use crate::ffi::{mm, user};
use crate::proto::layout::PAGE_BYTES;
use crate::proto::process::{CreateMailbox, VdsoArgs};
use kernel::prelude::*;

/// Fills in the pages of `vdso`, which has been checked. The returned references keep them; they
/// must live as long as the process.
pub(crate) fn gather(vdso: &VdsoArgs, mail: &mut CreateMailbox) -> Result<KVec<PageRef>> {
    let mut pages = KVec::new();
    let count = vdso.vvar_bytes.saturating_add(vdso.vdso_bytes) / PAGE_BYTES;
    for (index, place) in (0..count).zip(&mut mail.vdso_pages) {
        let address = vdso.source.saturating_add(index.saturating_mul(PAGE_BYTES));
        // A page that cannot be read is a hole: Linux has some for clocks that are not there.
        if let Some(page) = usize::try_from(address)
            .ok()
            .filter(|it| user::touch(*it))
            .and_then(mm::page_of_current)
        {
            *place = page.phys();
            pages.push(page, GFP_KERNEL)?;
        }
    }
    mail.vdso_page_count = u32::try_from(count).map_err(|_| EINVAL)?;
    mail.vvar_page_count = u32::try_from(vdso.vvar_bytes / PAGE_BYTES).map_err(|_| EINVAL)?;
    Ok(pages)
}
