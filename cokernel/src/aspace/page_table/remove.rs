// SPDX-License-Identifier: GPL-2.0
//! Taking pages out of page tables. Their frames are given out after no CPU has a translation any more.

use alloc::vec::Vec;
use core::mem::ManuallyDrop;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::pte::leaf;
use cokernel_logic::vma::Range;
use x86_64::PhysAddr;

use super::{foreign, users, MapError, PageTable, USER_HALF_END};
use crate::addr::page_down;
use crate::arch::pte::{Flags, Mapping, PageSize};
use crate::aspace::shootdown::{self, Space};
use crate::frames::extents::run_of;
use crate::frames::shared::{SharedExtents, SharedRun};

/// Leaves taken out at a time: bounds the time under a lock, and the heap that a fragmented range needs.
const MOST_LEAVES: u32 = 2048;

/// Pages that were taken out of page tables, and that CPUs may still have translations of.
#[must_use]
pub struct Taken {
    frames: ManuallyDrop<SharedExtents>,
    /// Their addresses, as far as the taking came.
    range: Range,
    /// The size of the smallest page among them.
    smallest: PageSize,
    /// Of which tables.
    root: PhysAddr,
}

impl Taken {
    /// The address up to which the taking came.
    pub const fn end(&self) -> u64 {
        self.range.end
    }

    /// The addresses that are empty now.
    pub const fn range(&self) -> Range {
        self.range
    }

    /// Has all CPUs forget the pages, and gives the frames out. Panics if `space` is not theirs.
    pub fn flush(self, space: &Space) -> SharedExtents {
        assert!(space.root() == self.root, "pages of another address space");
        if !self.frames.list().is_empty() {
            shootdown::shootdown(space, self.range.start, self.range.end, self.smallest);
        }
        ManuallyDrop::into_inner(self.frames)
    }
}

impl PageTable {
    /// Takes the leaves out that begin in, or reach into, `range`, ascending, until there is none or
    /// [`MOST_LEAVES`] are gathered. User half only.
    pub fn take_each(&mut self, range: Range) -> Taken {
        let (mut frames, mut smallest) = (SharedExtents::default(), PageSize::Giant);
        let (mut bytes, mut leaves) = (0, 0);
        let within = range.start..range.end.min(USER_HALF_END);
        let end = self.tables().visit(within, |start, slot, size| {
            bytes += size.bytes();
            leaves += 1;
            smallest = smallest.min(size);
            if let Some(run) = held(slot.swap(0, Ordering::SeqCst), size) {
                frames.push(run);
            }
            if leaves < MOST_LEAVES {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(start + size.bytes())
            }
        });
        self.count_out(bytes);
        let end = end.break_value().unwrap_or(range.end);
        Taken {
            frames: ManuallyDrop::new(frames),
            range: Range { end, ..range },
            smallest,
            root: self.root(),
        }
    }

    /// Takes the page that contains `va` out, if it is the partition's; all CPUs forget it.
    pub fn take(&mut self, va: u64) -> Option<SharedRun> {
        let tables = self.tables();
        let (slot, size) = tables.leaf(users(va).ok()?)?;
        run_of(&Mapping::of(slot.load(Ordering::Relaxed), size))?;
        let old = slot.swap(0, Ordering::SeqCst);
        self.count_out(size.bytes());
        self.flush(va & !(size.bytes() - 1), size);
        held(old, size)
    }

    /// Puts `run`, one frame, in the place of the small page that contains `va`; all CPUs forget that, and
    /// it is given up.
    ///
    /// # Errors
    ///
    /// No small page is there; `run` is given up.
    pub fn replace(&mut self, va: u64, run: SharedRun, flags: Flags) -> Result<(), MapError> {
        let tables = self.tables();
        let Some((slot, PageSize::Small)) = tables.leaf(users(va)?) else {
            return Err(MapError::Occupied);
        };
        assert!(
            run.size() == PageSize::Small,
            "a run in the place of a page"
        );
        let new = leaf(run.start(), PageSize::Small, flags);
        let _ = run.into_raw();
        let old = slot.swap(new, Ordering::SeqCst);
        self.flush(page_down(va), PageSize::Small);
        drop(held(old, PageSize::Small));
        Ok(())
    }

    /// Lets the small page of Linux's that contains `va` be another one of Linux's, or have other rights. The
    /// caller flushes.
    ///
    /// # Errors
    ///
    /// The page that is there, or shall be, is not Linux's.
    pub fn replace_foreign(&mut self, va: u64, pa: PhysAddr, flags: Flags) -> Result<(), MapError> {
        let flags = foreign(pa, flags)?;
        let tables = self.tables();
        let slot = tables.leaf(users(va)?).filter(|slot| is_foreign(*slot));
        let (slot, _) = slot.ok_or(MapError::Occupied)?;
        slot.swap(leaf(pa, PageSize::Small, flags), Ordering::SeqCst);
        Ok(())
    }

    /// Removes the page that contains `va` if it is Linux's. The caller flushes.
    pub fn forget_foreign(&mut self, va: u64) {
        let tables = self.tables();
        let slot = users(va).ok().and_then(|va| tables.leaf(va));
        if let Some((slot, size)) = slot.filter(|slot| is_foreign(*slot)) {
            slot.swap(0, Ordering::SeqCst);
            self.count_out(size.bytes());
        }
    }

    /// Moves the pages of `from` to `to` and behind, with the rights `flags`; all or none. A large page
    /// that does not fall on a boundary of its size there becomes smaller ones. All CPUs forget the
    /// pages of `from`.
    ///
    /// # Errors
    ///
    /// Something is there, or there is no frame for a table; nothing was moved.
    pub fn relocate(&mut self, from: Range, to: u64, flags: Flags) -> Result<(), MapError> {
        users(from.end)?;
        users(to.saturating_add(from.bytes()))?;
        let mut gone = Vec::new();
        let tables = self.tables();
        let moved = tables.relocate(from.start..from.end, to, flags, &mut gone);
        if !gone.is_empty() {
            self.retire_tables(to, PageSize::Giant, gone);
        }
        shootdown::shootdown(&self.space, from.start, from.end, PageSize::Small);
        moved
    }

    /// Has all CPUs forget the page of `size` at `va`.
    pub(super) fn flush(&self, va: u64, size: PageSize) {
        shootdown::shootdown(&self.space, va, va + size.bytes(), size);
    }

    fn count_out(&mut self, bytes: u64) {
        self.resident = self.resident.saturating_sub(bytes);
    }
}

/// Whether a leaf leads to a page of Linux's.
fn is_foreign((slot, size): (&AtomicU64, PageSize)) -> bool {
    run_of(&Mapping::of(slot.load(Ordering::Relaxed), size)).is_none()
}

/// The frames of the leaf `old`, which is in no table any more; `None` if they are Linux's.
fn held(old: u64, size: PageSize) -> Option<SharedRun> {
    let run = run_of(&Mapping::of(old, size))?;
    // SAFETY: the count was the leaf's, which was removed.
    Some(unsafe { SharedRun::from_raw(run) })
}
