// SPDX-License-Identifier: GPL-2.0
//! Page tables: the only walker. Four levels; the lower half is a program's, the upper half is the kernel's and
//! the same in every table. Entries are those of [`crate::arch::pte`].
//!
//! Tables are arrays of atomic words, because Linux reads them at any time. A present leaf is
//! changed by exchange, a full barrier, on which the protocol of `ihk_ikc::exposed` rests.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::pte::{self, Flags, Mapping, PageSize, ADDRESS, ENTRIES, USED};
use crate::aspace::shootdown::{self, Space};
use crate::frames::{allocator, watermark};
use crate::partition;
use crate::sync::SpinLock;

/// First entry of the kernel's half.
const KERNEL_HALF: usize = 256;

type Table = [AtomicU64; to_usize(ENTRIES)];

/// The reason why a page was not mapped.
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

/// A program's page tables, or the kernel's. Dropping frees the tables, not the pages.
pub struct PageTable {
    space: Arc<Space>,
    retired: Vec<PhysAddr>,
    /// Bytes that are mapped, and the most that were.
    resident: u64,
    peak: u64,
}

impl PageTable {
    /// Empty tables of a program, with the kernel's half in place.
    pub fn new_user() -> Option<Self> {
        let root = new_table()?;
        let (to, from) = (table(root), table(pte::kernel_root()));
        for (to, from) in to.iter().zip(from).skip(KERNEL_HALF) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Some(Self {
            space: Arc::new(Space::new(root)),
            retired: Vec::new(),
            resident: 0,
            peak: 0,
        })
    }

    /// Tables of the kernel itself, all entries empty. Boot only.
    pub fn new_kernel() -> Option<Self> {
        Some(Self {
            space: Arc::new(Space::new(new_table()?)),
            retired: Vec::new(),
            resident: 0,
            peak: 0,
        })
    }

    /// Physical address of the top-level table.
    pub fn root(&self) -> PhysAddr {
        self.space.root
    }

    /// The space these tables span, for the scheduler and for shootdowns.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Bytes that are mapped.
    pub fn resident_bytes(&self) -> u64 {
        self.resident
    }

    /// Most bytes that were mapped at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak
    }

    /// Maps one page. `va` and `pa` are aligned to `size`.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped.
    pub fn map(
        &mut self,
        va: u64,
        pa: PhysAddr,
        size: PageSize,
        flags: Flags,
    ) -> Result<(), MapError> {
        self.enter_leaf(va, pa, size, flags)?;
        self.count_in(size.bytes());
        Ok(())
    }

    fn count_in(&mut self, bytes: u64) {
        self.resident += bytes;
        self.peak = self.peak.max(self.resident);
    }

    fn enter_leaf(
        &mut self,
        va: u64,
        pa: PhysAddr,
        size: PageSize,
        flags: Flags,
    ) -> Result<(), MapError> {
        debug_assert!((va | pa.as_u64()) % size.bytes() == 0);
        let slot = self.slot_for(va, size)?;
        let old = slot.load(Ordering::Relaxed);
        if old == 0 {
            slot.store(pte::leaf(pa, size, flags), Ordering::Release);
            return Ok(());
        }
        if size.is_large() && pte::is_table(old, size) {
            return self.replace_table(va, slot, size, pte::leaf(pa, size, flags));
        }
        Err(MapError::Occupied)
    }

    /// Maps `count` adjacent small frames from `pa` on; `va` and the run lie in one block of 2 MiB.
    /// Those in whose place something is already are handed to `surplus`.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped.
    pub fn map_run(
        &mut self,
        va: u64,
        pa: PhysAddr,
        count: u32,
        flags: Flags,
        mut surplus: impl FnMut(PhysAddr),
    ) -> Result<(), MapError> {
        let places =
            &self.table_for(va, PageSize::Small)?[pte::index(va, PageSize::Small.shift())..];
        let mut mapped = 0;
        for (slot, number) in places.iter().zip(0..u64::from(count)) {
            let frame = pa + number * PAGE_BYTES;
            if slot.load(Ordering::Relaxed) == 0 {
                slot.store(pte::leaf(frame, PageSize::Small, flags), Ordering::Release);
                mapped += PAGE_BYTES;
            } else {
                surplus(frame);
            }
        }
        self.count_in(mapped);
        Ok(())
    }

    /// Removes the leaf that contains `va`; what it was. The caller flushes and frees.
    pub fn unmap(&mut self, va: u64) -> Option<Mapping> {
        let (slot, size) = self.leaf_slot(va)?;
        self.resident = self.resident.saturating_sub(size.bytes());
        Some(Mapping::of(slot.swap(0, Ordering::SeqCst), size))
    }

    /// Changes the rights of the leaf that contains `va`; what it was. The caller flushes.
    pub fn protect(&mut self, va: u64, flags: Flags) -> Option<Mapping> {
        let (slot, size) = self.leaf_slot(va)?;
        let pa = Mapping::of(slot.load(Ordering::Relaxed), size).pa;
        Some(Mapping::of(
            slot.swap(pte::leaf(pa, size, flags), Ordering::SeqCst),
            size,
        ))
    }

    /// Lets the small leaf of `va` lead to `pa` with `flags`; what it was. The caller flushes.
    pub fn replace(&mut self, va: u64, pa: PhysAddr, flags: Flags) -> Option<Mapping> {
        let (slot, PageSize::Small) = self.leaf_slot(va)? else {
            return None;
        };
        let new = pte::leaf(pa, PageSize::Small, flags);
        Some(Mapping::of(
            slot.swap(new, Ordering::SeqCst),
            PageSize::Small,
        ))
    }

    /// Makes 512 leaves of the next smaller size of the large one that contains `va`, with the same
    /// rights and frames. Does nothing if there is no large leaf. The caller flushes before rights
    /// change.
    ///
    /// # Errors
    ///
    /// No frame for the table; nothing was changed.
    pub fn split(&mut self, va: u64) -> Result<(), OutOfFrames> {
        let Some((slot, size)) = self.leaf_slot(va).filter(|(_, size)| size.is_large()) else {
            return Ok(());
        };
        let old = Mapping::of(slot.load(Ordering::Relaxed), size);
        let pieces = new_table().ok_or(OutOfFrames)?;
        let offsets = (0u64..).step_by(to_usize(size.below().bytes()));
        for (entry, offset) in table(pieces).iter().zip(offsets) {
            entry.store(
                pte::leaf(old.pa + offset, size.below(), old.flags),
                Ordering::Relaxed,
            );
        }
        slot.swap(pte::pointer(pieces), Ordering::SeqCst);
        Ok(())
    }

    /// Makes the leaf of `va` a small one, if there is any. As [`Self::split`].
    ///
    /// # Errors
    ///
    /// No frame for a table; the leaf is no larger than before.
    pub fn split_to_small(&mut self, va: u64) -> Result<(), OutOfFrames> {
        self.split(va)?;
        self.split(va)
    }

    /// Makes `va` the first address of a leaf, if it lies in one. As [`Self::split_to_small`].
    ///
    /// # Errors
    ///
    /// No frame for a table; `va` may lie inside a smaller leaf than before.
    pub fn cut(&mut self, va: u64) -> Result<(), OutOfFrames> {
        while let Some((_, size)) = self.leaf_slot(va) {
            if va % size.bytes() == 0 {
                break;
            }
            self.split(va)?;
        }
        Ok(())
    }

    /// The leaf that contains `va`.
    pub fn lookup(&self, va: u64) -> Option<Mapping> {
        let (slot, size) = self.leaf_slot(va)?;
        Some(Mapping::of(slot.load(Ordering::Relaxed), size))
    }

    /// Remembers in the leaf that contains `va` that a delegated call has used it, until the leaf is
    /// changed; whether that is news.
    pub fn note_use(&self, va: u64) -> bool {
        let slot = self.leaf_slot(va).map(|(slot, _)| slot);
        slot.is_some_and(|slot| slot.fetch_or(USED, Ordering::SeqCst) & USED == 0)
    }

    /// The first leaf that begins in, or reaches into, `[from, to)`, and its first address. User
    /// half only.
    pub fn next_mapping(&self, from: u64, to: u64) -> Option<(u64, Mapping)> {
        let mut found = None;
        let _ = self.visit(from, to, |start, slot, size| {
            found = Some((start, Mapping::of(slot.load(Ordering::Relaxed), size)));
            ControlFlow::Break(())
        });
        found
    }

    /// Hands every leaf that begins in, or reaches into, `[from, to)` to `look`, ascending, with its
    /// first address. User half only.
    pub fn for_each(&self, from: u64, to: u64, mut look: impl FnMut(u64, Mapping)) {
        let _: ControlFlow<()> = self.visit(from, to, |start, slot, size| {
            look(start, Mapping::of(slot.load(Ordering::Relaxed), size));
            ControlFlow::Continue(())
        });
    }

    /// As [`Self::for_each`], but removes the leaves, until `take` says that it has enough: the end
    /// of the last one. The caller flushes and frees.
    pub fn take_each(
        &mut self,
        from: u64,
        to: u64,
        mut take: impl FnMut(Mapping) -> ControlFlow<()>,
    ) -> ControlFlow<u64> {
        let mut taken = 0;
        let end = self.visit(from, to, |start, slot, size| {
            taken += size.bytes();
            take(Mapping::of(slot.swap(0, Ordering::SeqCst), size))
                .map_break(|()| start + size.bytes())
        });
        self.resident = self.resident.saturating_sub(taken);
        end
    }

    fn visit<B>(
        &self,
        from: u64,
        to: u64,
        mut visitor: impl FnMut(u64, &'static AtomicU64, PageSize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let from = from & !(PAGE_BYTES - 1);
        visit_below(self.space.root, 39, (from, to), &mut visitor)
    }

    /// The tables that were replaced since the last call. Linux may still be walking them: they are
    /// free after it has left the address space once ([`crate::mm::revoke`]).
    pub fn take_retired(&mut self) -> Vec<PhysAddr> {
        core::mem::take(&mut self.retired)
    }

    /// The number of tables that [`Self::take_retired`] would return.
    pub fn retired_count(&self) -> usize {
        self.retired.len()
    }

    /// Puts a `leaf` of `size` where `slot` points to a table of smaller leaves that has none any more,
    /// nor have those below it, and retires these tables.
    fn replace_table(
        &mut self,
        va: u64,
        slot: &AtomicU64,
        size: PageSize,
        leaf: u64,
    ) -> Result<(), MapError> {
        let mut below = Vec::new();
        if !gather_empty(slot.load(Ordering::Relaxed), size.shift(), &mut below) {
            return Err(MapError::Occupied);
        }
        slot.swap(leaf, Ordering::SeqCst);
        // CPUs may have cached that the tables are there.
        let end = if size == PageSize::Giant {
            va + size.bytes()
        } else {
            va + PAGE_BYTES
        };
        shootdown::shootdown(&self.space, va, end, PageSize::Small);
        self.retired.append(&mut below);
        Ok(())
    }

    /// The entry of `size` for `va`; makes the tables above it.
    fn slot_for(&mut self, va: u64, size: PageSize) -> Result<&'static AtomicU64, MapError> {
        Ok(&self.table_for(va, size)?[pte::index(va, size.shift())])
    }

    /// The table that has the entry of `size` for `va`; makes it and those above it.
    fn table_for(&mut self, va: u64, size: PageSize) -> Result<&'static Table, MapError> {
        let mut base = self.space.root;
        let mut shift = 39;
        while shift > size.shift() {
            let slot = entry(base, va, shift);
            let value = slot.load(Ordering::Relaxed);
            base = if value == 0 {
                let fresh = new_table().ok_or(MapError::OutOfFrames)?;
                slot.store(pte::pointer(fresh), Ordering::Release);
                fresh
            } else if pte::is_leaf_at(value, shift) {
                return Err(MapError::Occupied);
            } else {
                PhysAddr::new(value & ADDRESS)
            };
            shift -= 9;
        }
        Ok(table(base))
    }

    fn leaf_slot(&self, va: u64) -> Option<(&'static AtomicU64, PageSize)> {
        let mut base = self.space.root;
        let mut shift = 39;
        loop {
            let slot = entry(base, va, shift);
            let value = slot.load(Ordering::Relaxed);
            if value == 0 {
                return None;
            }
            if pte::is_leaf_at(value, shift) {
                return Some((slot, pte::size_at(shift)));
            }
            base = PhysAddr::new(value & ADDRESS);
            shift -= 9;
        }
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        shootdown::retire(&self.space);
        for entry in &table(self.space.root)[..KERNEL_HALF] {
            free_below(entry.load(Ordering::Relaxed), 39);
        }
        self.retired.drain(..).for_each(allocator::free_small);
        allocator::free_small(self.space.root);
    }
}

/// Visits the leaves in `range` that hang below the table at `base`, whose entries stand for
/// `1 << shift` bytes. Entries are passed over a table at a time where there is nothing.
fn visit_below<B>(
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
fn gather_empty(value: u64, shift: u32, tables: &mut Vec<PhysAddr>) -> bool {
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
fn free_below(value: u64, shift: u32) {
    if value == 0 || pte::is_leaf_at(value, shift) {
        return;
    }
    let below = PhysAddr::new(value & ADDRESS);
    if shift > PageSize::Large.shift() {
        for entry in table(below) {
            free_below(entry.load(Ordering::Relaxed), shift - 9);
        }
    }
    allocator::free_small(below);
}

fn new_table() -> Option<PhysAddr> {
    let frame = watermark::alloc_structure()?;
    partition::zero(frame, PAGE_BYTES);
    Some(frame)
}

fn table(address: PhysAddr) -> &'static Table {
    partition::page(address)
}

pub fn entry(base: PhysAddr, va: u64, shift: u32) -> &'static AtomicU64 {
    &table(base)[pte::index(va, shift)]
}

/// The kernel's own tables, once they are there.
static KERNEL: SpinLock<Option<PageTable>> = SpinLock::new(None);

/// Makes `tables` the kernel's, for ever. Boot only.
pub fn set_kernel(tables: PageTable) {
    pte::set_kernel_root(tables.root());
    *KERNEL.lock() = Some(tables);
}

/// Maps a page of the kernel in every address space. Top-level entries come into being at boot
/// only, because programs' tables copy them.
///
/// # Errors
///
/// [`MapError`] says why nothing was mapped.
pub fn map_kernel(va: u64, pa: PhysAddr, size: PageSize, flags: Flags) -> Result<(), MapError> {
    let mut tables = KERNEL.lock();
    tables
        .as_mut()
        .ok_or(MapError::OutOfFrames)?
        .map(va, pa, size, flags)
}

const _: () = assert!(LARGE_PAGE_BYTES == PageSize::Large.bytes());
