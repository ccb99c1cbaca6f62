// SPDX-License-Identifier: GPL-2.0
//! Changing leaves: entering, removing, dividing and moving them.

use alloc::vec::Vec;
use core::ops::{ControlFlow, Range};
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::PhysAddr;

use super::{MapError, OutOfFrames, TableMemory, Tables};
use crate::pte::{index, is_leaf_at, is_table, leaf, pointer, Flags, Mapping, PageSize, ADDRESS};

impl<M: TableMemory> Tables<M> {
    /// Enters a leaf. `va` and `pa` are aligned to `size`. Tables of smaller leaves that have none any
    /// more give way to a large one: they are returned, and CPUs may still know them.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was entered.
    #[inline]
    pub fn enter(
        &self,
        va: u64,
        pa: PhysAddr,
        size: PageSize,
        flags: Flags,
    ) -> Result<Vec<PhysAddr>, MapError> {
        assert!((va | pa.as_u64()) % size.bytes() == 0, "misaligned page");
        let slot = &self.table_for(va, size)?[index(va, size.level())];
        let old = slot.load(Ordering::Relaxed);
        let new = leaf(pa, size, flags);
        if old == 0 {
            slot.store(new, Ordering::Release);
            return Ok(Vec::new());
        }
        if size.is_large() && is_table(old, size) {
            return self.replace_table(slot, size, new);
        }
        Err(MapError::Occupied)
    }

    /// Puts the leaf `new` of `size` where `slot` points to a table without leaves.
    fn replace_table(
        &self,
        slot: &AtomicU64,
        size: PageSize,
        new: u64,
    ) -> Result<Vec<PhysAddr>, MapError> {
        let mut tables = Vec::new();
        if !self.gather_empty(slot.load(Ordering::Relaxed), size.level(), &mut tables) {
            return Err(MapError::Occupied);
        }
        slot.swap(new, Ordering::SeqCst);
        Ok(tables)
    }

    /// Gathers the table that `value`, an entry of `level`, points to, and those below. Returns whether
    /// none of them has a leaf.
    fn gather_empty(&self, value: u64, level: u32, tables: &mut Vec<PhysAddr>) -> bool {
        if value == 0 {
            return true;
        }
        if is_leaf_at(value, level) {
            return false;
        }
        tables.push(PhysAddr::new(value & ADDRESS));
        let mut entries = self.below(value).iter();
        entries.all(|entry| self.gather_empty(entry.load(Ordering::Relaxed), level - 1, tables))
    }

    /// Changes the rights of the leaf that contains `va`.
    #[inline]
    pub fn protect(&self, va: u64, flags: Flags) {
        if let Some((slot, size)) = self.leaf(va) {
            let pa = Mapping::of(slot.load(Ordering::Relaxed), size).pa;
            slot.swap(leaf(pa, size, flags), Ordering::SeqCst);
        }
    }

    /// Makes 512 leaves of the next smaller size of the large one that contains `va`, with the same
    /// rights and frames. Does nothing if there is no large leaf. CPUs forget the old one before rights
    /// change.
    ///
    /// # Errors
    ///
    /// No frame for the table; nothing was changed.
    pub fn split(&self, va: u64) -> Result<(), OutOfFrames> {
        let Some((slot, size)) = self.leaf(va).filter(|(_, size)| size.is_large()) else {
            return Ok(());
        };
        let old = Mapping::of(slot.load(Ordering::Relaxed), size);
        let pieces = self.memory.new_table().ok_or(OutOfFrames)?;
        let frames = (0..).map(|number| old.pa + number * size.below().bytes());
        for (entry, pa) in self.memory.table(pieces).iter().zip(frames) {
            entry.store(leaf(pa, size.below(), old.flags), Ordering::Relaxed);
        }
        slot.swap(pointer(pieces), Ordering::SeqCst);
        Ok(())
    }

    /// Makes `va` the first address of a leaf, if it lies in one. As [`Self::split`].
    ///
    /// # Errors
    ///
    /// No frame for a table; `va` may lie inside a smaller leaf than before.
    pub fn cut(&self, va: u64) -> Result<(), OutOfFrames> {
        while let Some((_, size)) = self.leaf(va) {
            if va % size.bytes() == 0 {
                break;
            }
            self.split(va)?;
        }
        Ok(())
    }

    /// Removes all leaves of `range`, cut at its ends, and enters them at `to` and behind, with the
    /// rights `flags`; all or none. A large one that does not fall on a boundary of its size there
    /// becomes smaller ones. `gone` gets the tables that gave way, as by [`Self::enter`].
    ///
    /// # Errors
    ///
    /// Something is there, the ranges overlap, or there is no frame for a table; nothing was moved.
    pub fn relocate(
        &self,
        range: Range<u64>,
        to: u64,
        flags: Flags,
        gone: &mut Vec<PhysAddr>,
    ) -> Result<(), MapError> {
        let there = to..to + (range.end - range.start);
        let overlap = there.start < range.end && range.start < there.end;
        if overlap || self.next(there.clone()).is_some() {
            return Err(MapError::Occupied);
        }
        self.cut(range.start)?;
        self.cut(range.end)?;
        let mut at = range.start;
        while let Some((address, page)) = self.next(at..range.end) {
            let entered = self.enter_again(to + (address - range.start), &page, flags, gone);
            if entered.is_err() {
                self.erase(there);
                return entered;
            }
            at = address + page.size.bytes();
        }
        self.erase(range);
        Ok(())
    }

    /// Enters the leaf of `page` at `target`, too.
    fn enter_again(
        &self,
        target: u64,
        page: &Mapping,
        flags: Flags,
        gone: &mut Vec<PhysAddr>,
    ) -> Result<(), MapError> {
        let flags = Flags {
            mirrored: page.flags.mirrored,
            ..flags
        };
        let sizes = [page.size, PageSize::Large, PageSize::Small];
        let fits = |size: &PageSize| *size <= page.size && target % size.bytes() == 0;
        let size = sizes.into_iter().find(fits).unwrap_or(PageSize::Small);
        for offset in (0..page.size.bytes() / size.bytes()).map(|number| number * size.bytes()) {
            gone.extend(self.enter(target + offset, page.pa + offset, size, flags)?);
        }
        Ok(())
    }

    /// Empties the leaves in `range`.
    fn erase(&self, range: Range<u64>) {
        let _: ControlFlow<()> = self.visit(range, |_, slot, _| {
            slot.swap(0, Ordering::SeqCst);
            ControlFlow::Continue(())
        });
    }
}
