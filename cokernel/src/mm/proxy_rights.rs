// SPDX-License-Identifier: GPL-2.0
//! Keeps the proxy's view of the window in step with the program's rights.
//!
//! The proxy maps the whole window readable and writable. What the program may read but not write
//! must be read-only there, too, or a delegated `read` could write it; only the proxy itself can
//! change that, so the thread's worker is asked. What the program may not touch at all needs
//! nothing: the fault handler refuses.

use cokernel_logic::proxy_rights::{self, Difference};
use cokernel_logic::vma::Range;
use ihk_ikc::process::{op, prot};

use crate::aspace::space::{AddressSpace, Inner};
use crate::delegate;
use crate::errno::Errno;

/// Brings the proxy's rights in `range` in step. The caller holds the layout lock.
///
/// # Errors
///
/// `EINTR` if the worker was interrupted; `ENOMEM` whatever else the proxy's mprotect says.
pub fn sync(space: &AddressSpace, range: Range) -> Result<(), Errno> {
    let wrong =
        |inner: &mut Inner| proxy_rights::differences(&inner.areas, &inner.proxy_read_only, range);
    for Difference { range, read_only } in space.with(wrong) {
        let rights = if read_only {
            prot::READ
        } else {
            prot::READ | prot::WRITE
        };
        let args = [range.start, range.bytes(), u64::from(rights), 0, 0, 0];
        delegate::call_directly(op::PROTECT, args).map_err(|errno| match errno {
            Errno::EINTR => Errno::EINTR,
            _ => Errno::ENOMEM,
        })?;
        space.with(|inner| record(inner, range, read_only));
    }
    Ok(())
}

/// Notes that the proxy has made `range` read-only, or writable again.
pub fn record(inner: &mut Inner, range: Range, read_only: bool) {
    proxy_rights::record(&mut inner.proxy_read_only, range, read_only);
}

/// Drops the proxy's page tables of `range`, so that large pages can come again.
pub fn drop_tables(range: Range) {
    // Only speed is lost if the proxy refuses.
    let _ = delegate::call_directly(op::DROP_TABLES, [range.start, range.bytes(), 0, 0, 0, 0]);
}
