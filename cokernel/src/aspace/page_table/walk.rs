// SPDX-License-Identifier: GPL-2.0
//! Tables: how they are made, followed and freed.

use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::page_table::shift;
use x86_64::PhysAddr;

use crate::arch::pte::{self, PageSize, ADDRESS, TABLE_LENGTH};
use crate::frames::extents::single;
use crate::frames::owned::OwnedRun;
use crate::frames::watermark;
use crate::partition;

pub(super) type Table = [AtomicU64; TABLE_LENGTH];

/// Visits the leaves in `range` that hang below the table at `base`, of `level`.
/// Entries are passed over a table at a time where there is nothing.
pub(super) fn visit_below<B>(
    base: PhysAddr,
    level: u32,
    (mut va, to): (u64, u64),
    visitor: &mut impl FnMut(u64, &'static AtomicU64, PageSize) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let table = table(base);
    while va < to {
        let slot = &table[pte::index(va, level)];
        let value = slot.load(Ordering::Relaxed);
        let next = ((va >> shift(level)) + 1) << shift(level);
        if value != 0 && pte::is_leaf_at(value, level) {
            let size = pte::size_at(level);
            visitor(va & !(size.bytes() - 1), slot, size)?;
        } else if value != 0 {
            let below = PhysAddr::new(value & ADDRESS);
            visit_below(below, level - 1, (va, to.min(next)), visitor)?;
        }
        if pte::index(next, level) == 0 {
            break; // the table ends here
        }
        va = next;
    }
    ControlFlow::Continue(())
}

/// Gathers the table that `value`, an entry of `level`, points to, and those below; whether
/// none of them has a leaf.
pub(super) fn gather_empty(value: u64, level: u32, tables: &mut Vec<PhysAddr>) -> bool {
    if value == 0 {
        return true;
    }
    if pte::is_leaf_at(value, level) {
        return false;
    }
    let below = PhysAddr::new(value & ADDRESS);
    tables.push(below);
    let mut entries = table(below).iter();
    entries.all(|entry| gather_empty(entry.load(Ordering::Relaxed), level - 1, tables))
}

/// Frees the table that `value`, an entry of `level`, points to, and those below.
///
/// # Safety
///
/// The entry is gone, and no CPU follows it any more.
pub(super) unsafe fn free_below(value: u64, level: u32) {
    if value == 0 || pte::is_leaf_at(value, level) {
        return;
    }
    let below = PhysAddr::new(value & ADDRESS);
    if level > PageSize::Large.level() {
        for entry in table(below) {
            // SAFETY: the caller's promise: the entry goes with its table.
            unsafe { free_below(entry.load(Ordering::Relaxed), level - 1) };
        }
    }
    // SAFETY: the caller's promise; it is not looked at any more.
    drop(unsafe { owned(below) });
}

/// An empty table, for an entry or a root.
pub(super) fn new_table() -> Option<PhysAddr> {
    let mut frame = watermark::alloc_structure()?;
    frame.zero();
    let address = frame.start();
    let _ = frame.into_raw();
    Some(address)
}

/// The frame of the table at `address`, which [`new_table`] made.
///
/// # Safety
///
/// No entry leads to it any more, and nobody looks at it.
pub(super) unsafe fn owned(address: PhysAddr) -> OwnedRun {
    let frame = partition::frame_number(address).expect("a table outside the partition");
    // SAFETY: by contract nobody has it.
    unsafe { OwnedRun::from_raw(single(frame)) }
}

/// The table at `address`, which comes from an entry or is a root.
pub(super) fn table(address: PhysAddr) -> &'static Table {
    // SAFETY: entries are written in this folder only; what they lead to is a table, which is nothing
    // but words until it is freed, and that ends all looks at it.
    unsafe { partition::page(address) }
}

/// The entry for `va` in the table of `level` at `base`.
pub(super) fn entry(base: PhysAddr, va: u64, level: u32) -> &'static AtomicU64 {
    &table(base)[pte::index(va, level)]
}
