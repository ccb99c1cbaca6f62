// SPDX-License-Identifier: GPL-2.0
//! Writing page tables, wherever they lie: four levels, entries as in [`crate::pte`].
//!
//! Tables are arrays of atomic words, because Linux reads them at any time. A present leaf is
//! changed by exchange, a full barrier, on which the protocol of `ihk_ikc::exposed` rests. To forget old
//! translations, and to look after the frames that leaves lead to, is the caller's.

mod change;
#[cfg(test)]
mod tests;

use core::ops::{ControlFlow, Range};
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::page_table::shift;
use x86_64::PhysAddr;

use crate::pte::{
    index, is_leaf_at, pointer, size_at, Mapping, PageSize, ADDRESS, ROOT_LEVEL, TABLE_LENGTH, USED,
};

/// A table of any level.
pub type Table = [AtomicU64; TABLE_LENGTH];

/// A memory in which tables lie.
pub trait TableMemory {
    /// The table at `address`, which is a root or was made by [`Self::new_table`].
    fn table(&self, address: PhysAddr) -> &Table;

    /// Makes an empty table, if there is room.
    fn new_table(&self) -> Option<PhysAddr>;
}

/// Why a page was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// Something is there already.
    Occupied,
    /// No frame for a table.
    OutOfFrames,
}

/// No frame for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

impl From<OutOfFrames> for MapError {
    fn from(_: OutOfFrames) -> Self {
        Self::OutOfFrames
    }
}

/// Page tables in some memory.
pub struct Tables<M> {
    root: PhysAddr,
    memory: M,
}

impl<M: TableMemory> Tables<M> {
    /// The tables whose top-level one is at `root`.
    pub const fn new(root: PhysAddr, memory: M) -> Self {
        Self { root, memory }
    }

    /// The top-level table.
    #[inline]
    pub fn top(&self) -> &Table {
        self.memory.table(self.root)
    }

    /// The leaf that contains `va`.
    #[inline]
    pub fn leaf(&self, va: u64) -> Option<(&AtomicU64, PageSize)> {
        let mut table = self.top();
        let mut level = ROOT_LEVEL;
        loop {
            let slot = &table[index(va, level)];
            let value = slot.load(Ordering::Relaxed);
            if value == 0 {
                return None;
            }
            if is_leaf_at(value, level) {
                return Some((slot, size_at(level)));
            }
            table = self.below(value);
            level -= 1;
        }
    }

    /// The contents of the leaf that contains `va`.
    #[inline]
    pub fn lookup(&self, va: u64) -> Option<Mapping> {
        let (slot, size) = self.leaf(va)?;
        Some(Mapping::of(slot.load(Ordering::Relaxed), size))
    }

    /// Remembers in the leaf that contains `va` that a delegated call has used it, until the leaf is
    /// changed. Returns whether that is news.
    pub fn note_use(&self, va: u64) -> bool {
        let slot = self.leaf(va).map(|(slot, _)| slot);
        slot.is_some_and(|slot| slot.fetch_or(USED, Ordering::SeqCst) & USED == 0)
    }

    /// The first leaf that begins in, or reaches into, `range`, and its first address.
    #[inline]
    pub fn next(&self, range: Range<u64>) -> Option<(u64, Mapping)> {
        let mut found = None;
        let _ = self.visit(range, |start, slot, size| {
            found = Some((start, Mapping::of(slot.load(Ordering::Relaxed), size)));
            ControlFlow::Break(())
        });
        found
    }

    /// Hands every leaf that begins in, or reaches into, `range` to `visitor`, ascending, with its first
    /// address.
    #[inline]
    pub fn visit<B>(
        &self,
        range: Range<u64>,
        mut visitor: impl FnMut(u64, &AtomicU64, PageSize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        if range.is_empty() {
            return ControlFlow::Continue(());
        }
        self.visit_below(self.top(), ROOT_LEVEL, range, &mut visitor)
    }

    /// Visits the leaves in `range`, which is not empty, that hang below `table` of `level`.
    fn visit_below<B>(
        &self,
        table: &Table,
        level: u32,
        range: Range<u64>,
        visitor: &mut impl FnMut(u64, &AtomicU64, PageSize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let entry_bytes = 1 << shift(level);
        let first = range.start & !(entry_bytes - 1);
        let within = index(range.start, level)..=index(range.end - 1, level);
        // Most entries of most tables are empty.
        for (number, slot) in (0..).zip(&table[within]) {
            let value = slot.load(Ordering::Relaxed);
            if value == 0 {
                continue;
            }
            let start = first + number * entry_bytes;
            if is_leaf_at(value, level) {
                visitor(start, slot, size_at(level))?;
            } else {
                let part = range.start.max(start)..range.end.min(start.saturating_add(entry_bytes));
                self.visit_below(self.below(value), level - 1, part, visitor)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Hands all tables below the entries `top` of the top-level one to `visitor`, each after those below
    /// it.
    pub fn visit_tables(&self, top: Range<usize>, mut visitor: impl FnMut(PhysAddr)) {
        self.visit_tables_below(&self.top()[top], ROOT_LEVEL, &mut visitor);
    }

    /// Visits the tables that `entries` of `level` lead to, and those below.
    fn visit_tables_below(
        &self,
        entries: &[AtomicU64],
        level: u32,
        visitor: &mut impl FnMut(PhysAddr),
    ) {
        for entry in entries {
            let value = entry.load(Ordering::Relaxed);
            if value == 0 || is_leaf_at(value, level) {
                continue;
            }
            // The entries of tables of small pages are leaves.
            if level > PageSize::Large.level() {
                self.visit_tables_below(self.below(value), level - 1, visitor);
            }
            visitor(PhysAddr::new(value & ADDRESS));
        }
    }

    /// The table of entries of `size` that stand for `va` and its neighbours; makes it and those above it.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why there is none.
    #[inline]
    pub fn table_for(&self, va: u64, size: PageSize) -> Result<&Table, MapError> {
        let mut table = self.top();
        let mut level = ROOT_LEVEL;
        while level > size.level() {
            let slot = &table[index(va, level)];
            let value = slot.load(Ordering::Relaxed);
            table = if value == 0 {
                let fresh = self.memory.new_table().ok_or(OutOfFrames)?;
                slot.store(pointer(fresh), Ordering::Release);
                self.memory.table(fresh)
            } else if is_leaf_at(value, level) {
                return Err(MapError::Occupied);
            } else {
                self.below(value)
            };
            level -= 1;
        }
        Ok(table)
    }

    /// The table that `value`, an entry that is no leaf, points to.
    #[inline]
    fn below(&self, value: u64) -> &Table {
        self.memory.table(PhysAddr::new(value & ADDRESS))
    }
}
