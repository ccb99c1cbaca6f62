// SPDX-License-Identifier: GPL-2.0
//! Tables: how they are made, followed and freed.

use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::pte::{self, PageSize, ADDRESS, ENTRIES};
use crate::frames::extents::single;
use crate::frames::owned::OwnedRun;
use crate::frames::watermark;
use crate::partition;

pub(super) type Table = [AtomicU64; to_usize(ENTRIES)];

/// Visits the leaves in `range` that hang below the table at `base`, whose entries stand for
/// `1 << shift` bytes. Entries are passed over a table at a time where there is nothing.
pub(super) fn visit_below<B>(
    base: PhysAddr,
    shift: u32,
    (mut va, to): (u64, u64),
    visitor: &mut impl FnMut(u64, &'static AtomicU64, PageSize) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let table = table(base);
    while va < to {
        let slot = &table[pte::index(va, shift)];
        let value = slot.load(Ordering::Relaxed);
        let next = ((va >> shift) + 1) << shift;
        if value != 0 && pte::is_leaf_at(value, shift) {
            let size = pte::size_at(shift);
            visitor(va & !(size.bytes() - 1), slot, size)?;
        } else if value != 0 {
            let below = PhysAddr::new(value & ADDRESS);
            visit_below(below, shift - 9, (va, to.min(next)), visitor)?;
        }
        if pte::index(next, shift) == 0 {
            break; // the table ends here
        }
        va = next;
    }
    ControlFlow::Continue(())
}

/// Gathers the table that `value`, an entry for `1 << shift` bytes, points to, and those below; whether
/// none of them has a leaf.
pub(super) fn gather_empty(value: u64, shift: u32, tables: &mut Vec<PhysAddr>) -> bool {
    if value == 0 {
        return true;
    }
    if pte::is_leaf_at(value, shift) {
        return false;
    }
    let below = PhysAddr::new(value & ADDRESS);
    tables.push(below);
    let mut entries = table(below).iter();
    entries.all(|entry| gather_empty(entry.load(Ordering::Relaxed), shift - 9, tables))
}

/// Frees the table that `value`, an entry for `1 << shift` bytes, points to, and those below.
///
/// # Safety
///
/// The entry is gone, and no CPU follows it any more.
pub(super) unsafe fn free_below(value: u64, shift: u32) {
    if value == 0 || pte::is_leaf_at(value, shift) {
        return;
    }
    let below = PhysAddr::new(value & ADDRESS);
    if shift > PageSize::Large.shift() {
        for entry in table(below) {
            // SAFETY: the caller's promise: the entry goes with its table.
            unsafe { free_below(entry.load(Ordering::Relaxed), shift - 9) };
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

/// The entry for `va` in the table at `base`, whose entries stand for `1 << shift` bytes.
pub(super) fn entry(base: PhysAddr, va: u64, shift: u32) -> &'static AtomicU64 {
    &table(base)[pte::index(va, shift)]
}
