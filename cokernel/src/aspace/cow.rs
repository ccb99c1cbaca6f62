// SPDX-License-Identifier: GPL-2.0
//! Copy on write (COW): the page of a private area that another address space has, too, is copied
//! before it is written.
//!
//! Pages become shared in `mm/fork_copy.rs` and `mm/load.rs`; `frames/refcount.rs` counts the sharers;
//! `Inner::set_rights` keeps mprotect from making a shared page writable. Tests of this need the machine:
//! `cargo xtask test children_share_until memory_of_parent`.

use cokernel_logic::policy::Policy;
use cokernel_logic::vma::Protection;

use crate::addr::page_down;
use crate::arch::pte::Mapping;
use crate::aspace::populate;
use crate::aspace::space::{flags_of, Inner};
use crate::errno::Errno;
use crate::frames::extents::run_of;
use crate::frames::refcount;

/// Makes the page of `address` writable, which `rights` allow: as it is if nobody else has it, else
/// as a copy. Under the lock of `inner`. `default` is the policy of areas that have none of their own.
///
/// # Errors
///
/// `ENOMEM`; `EFAULT` for pages that are not the partition's.
pub fn make_writable(
    inner: &mut Inner,
    address: u64,
    rights: Protection,
    default: Policy,
) -> Result<(), Errno> {
    let whole = inner.table.lookup(address).ok_or(Errno::EFAULT)?;
    run_of(&whole).ok_or(Errno::EFAULT)?;
    if !inner.is_copied_on_write(address, &whole) {
        inner.table.protect(address, flags_of(rights));
        return Ok(());
    }
    // Twice: a page of 1 GiB is divided into large ones first.
    for _ in 0..2 {
        inner.table.split(address).map_err(|_| Errno::ENOMEM)?;
    }
    let small = inner.table.lookup(address).ok_or(Errno::EFAULT)?;
    if refcount::is_shared(&small) {
        replace(inner, page_down(address), &small, rights, default)
    } else {
        inner.table.protect(address, flags_of(rights));
        Ok(())
    }
}

/// Puts a copy of `old`, the small page at `address`, in its place and gives `old` up. `default` as in
/// [`make_writable`].
///
/// Linux has no mapping of `old` here, so nothing has to be revoked: in a writable area it maps only
/// frames that the program may write (`mcctrl/window/fault.rs`), and fork withdrew those.
///
/// # Errors
///
/// `ENOMEM`.
pub fn replace(
    inner: &mut Inner,
    address: u64,
    old: &Mapping,
    rights: Protection,
    default: Policy,
) -> Result<(), Errno> {
    let place = inner.place_at(address, default);
    let mut copy = populate::alloc_frame(place).ok_or(Errno::ENOMEM)?;
    copy.copy_from(old.pa);
    inner
        .table
        .replace(address, copy.into(), flags_of(rights))
        .map_err(|_| Errno::EFAULT)
}
