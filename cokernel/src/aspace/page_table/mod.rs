// SPDX-License-Identifier: GPL-2.0
//! Page tables: the only walker. Four levels; the lower half is a program's, the upper half is the kernel's and
//! the same in every table. Entries are those of [`crate::arch::pte`].
//!
//! A leaf of a program's half has a count of its frames: what is mapped is moved in as a value, and what
//! is removed comes out as one. Frames of Linux's are shown, and belong to nobody here.
//!
//! Tables are arrays of atomic words, because Linux reads them at any time. A present leaf is
//! changed by exchange, a full barrier, on which the protocol of `ihk_ikc::exposed` rests.

mod kernel;
mod relocate;
mod remove;
mod walk;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::vma::Range;
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::pte::{self, Flags, Mapping, PageSize, ADDRESS, ROOT_LEVEL, USED};
use crate::aspace::shootdown::{self, Space};
use crate::frames::extents::{run_of, single};
use crate::frames::owned::{OwnedRun, SharedRun};
use crate::frames::refcount;
use crate::partition;
use walk::{entry, new_table, table, Table};

pub use kernel::{map_kernel, map_kernel_frame, set_kernel};
pub use remove::Taken;

/// First entry of the kernel's half.
const KERNEL_HALF: usize = 256;
/// The end of a program's half.
const USER_HALF_END: u64 = 1 << 47;

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

/// A program's page tables, or the kernel's. When they are dropped, what they lead to is given up, too.
pub struct PageTable {
    space: Arc<Space>,
    retired: Vec<OwnedRun>,
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
        Some(Self::at(root))
    }

    /// Tables of the kernel itself, all entries empty. Boot only.
    pub fn new_kernel() -> Option<Self> {
        Some(Self::at(new_table()?))
    }

    fn at(root: PhysAddr) -> Self {
        Self {
            // SAFETY: the table has the kernel's half, or is the kernel's, and is freed after `retire`.
            space: Arc::new(unsafe { Space::new(root) }),
            retired: Vec::new(),
            resident: 0,
            peak: 0,
        }
    }

    /// Physical address of the top-level table.
    pub fn root(&self) -> PhysAddr {
        self.space.root()
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

    /// Maps `run`, one page, at `va`, an address of a program that its size divides.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped; `run` is given up.
    pub fn map(&mut self, va: u64, run: SharedRun, flags: Flags) -> Result<(), MapError> {
        let (pa, size) = (run.start(), run.size());
        assert!(size == PageSize::Small || partition::contains(pa.as_u64(), size.bytes()));
        self.enter_leaf(users(va)?, pa, size, flags)?;
        let _ = run.into_raw();
        self.count_in(size.bytes());
        Ok(())
    }

    /// Shows the program a small page of Linux's at `va`.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why not.
    pub fn map_foreign(&mut self, va: u64, pa: PhysAddr, flags: Flags) -> Result<(), MapError> {
        let flags = foreign(pa, flags)?;
        self.enter_leaf(users(va)?, pa, PageSize::Small, flags)?;
        self.count_in(PAGE_BYTES);
        Ok(())
    }

    /// Maps a page of the kernel's half. `va` and `pa` are aligned to `size`.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped.
    ///
    /// # Safety
    ///
    /// What can be done at `va` from now on, with the rights of `flags`, is what the kernel expects there.
    pub unsafe fn map_unowned(
        &mut self,
        va: u64,
        pa: PhysAddr,
        size: PageSize,
        flags: Flags,
    ) -> Result<(), MapError> {
        self.enter_leaf(va, pa, size, flags)
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
        assert!((va | pa.as_u64()) % size.bytes() == 0, "misaligned page");
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

    /// Maps `run` as small pages from `va` on; the run and its addresses lie in one block of 2 MiB each.
    /// Those in whose place something is already are given up.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped; `run` is given up.
    pub fn map_run(&mut self, va: u64, run: SharedRun, flags: Flags) -> Result<(), MapError> {
        let table = self.table_for(users(va)?, PageSize::Small)?;
        let places = &table[pte::index(va, PageSize::Small.level())..];
        let count = run.run().count;
        assert!(
            count <= partition::in_block(run.run().first) && count as usize <= places.len(),
            "a run beyond a block"
        );
        let start = run.start();
        let frames = run.into_raw().first..;
        let mut mapped = 0;
        for ((slot, frame), number) in places.iter().zip(frames).zip(0..u64::from(count)) {
            if slot.load(Ordering::Relaxed) == 0 {
                let pa = start + number * PAGE_BYTES;
                slot.store(pte::leaf(pa, PageSize::Small, flags), Ordering::Release);
                mapped += PAGE_BYTES;
            } else {
                // SAFETY: the count was the run's, and no leaf has got it.
                drop(unsafe { SharedRun::from_raw(single(frame)) });
            }
        }
        self.count_in(mapped);
        Ok(())
    }

    /// One count more of the page that begins at `va`, for another address space. `None`: it is Linux's.
    ///
    /// # Errors
    ///
    /// There is no page, or too many have it.
    pub fn share(&self, va: u64) -> Result<Option<SharedRun>, refcount::Overflow> {
        let leaf = self.lookup(va).ok_or(refcount::Overflow)?;
        // SAFETY: the leaf has a count, and cannot lose it meanwhile: that needs `&mut self`.
        let share = |run| unsafe { refcount::add(run) };
        run_of(&leaf).map(share).transpose()
    }

    /// Changes the rights of the leaf that contains `va`. The caller flushes.
    pub fn protect(&mut self, va: u64, flags: Flags) {
        if let Some((slot, size)) = self.leaf_slot(va) {
            let pa = Mapping::of(slot.load(Ordering::Relaxed), size).pa;
            slot.swap(pte::leaf(pa, size, flags), Ordering::SeqCst);
        }
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

    /// Fills the partition's pages that lie in `range`, or reach into it, with zeros, for everybody who has
    /// them. User half only.
    pub fn wipe(&mut self, range: Range) {
        self.for_each(range.start, range.end, |_, page| {
            if run_of(&page).is_some() {
                // SAFETY: the frames are programs', of whose memory the kernel has no references.
                unsafe { partition::zero(page.pa, page.size.bytes()) };
            }
        });
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

    fn visit<B>(
        &self,
        from: u64,
        to: u64,
        mut visitor: impl FnMut(u64, &'static AtomicU64, PageSize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let from = from & !(PAGE_BYTES - 1);
        let to = to.min(USER_HALF_END);
        walk::visit_below(self.root(), ROOT_LEVEL, (from, to), &mut visitor)
    }

    /// The tables that were replaced since the last call. Linux may still be walking them: they are
    /// free after it has left the address space once ([`crate::mm::revoke`]).
    pub fn take_retired(&mut self) -> Vec<OwnedRun> {
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
        if !walk::gather_empty(slot.load(Ordering::Relaxed), size.level(), &mut below) {
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
        // SAFETY: the entry was replaced, and no CPU follows the old one any more.
        let below = below.into_iter().map(|table| unsafe { walk::owned(table) });
        self.retired.extend(below);
        Ok(())
    }

    /// The entry of `size` for `va`; makes the tables above it.
    fn slot_for(&mut self, va: u64, size: PageSize) -> Result<&'static AtomicU64, MapError> {
        Ok(&self.table_for(va, size)?[pte::index(va, size.level())])
    }

    /// The table that has the entry of `size` for `va`; makes it and those above it.
    fn table_for(&mut self, va: u64, size: PageSize) -> Result<&'static Table, MapError> {
        let mut base = self.root();
        let mut level = ROOT_LEVEL;
        while level > size.level() {
            let slot = entry(base, va, level);
            let value = slot.load(Ordering::Relaxed);
            base = if value == 0 {
                let fresh = new_table().ok_or(MapError::OutOfFrames)?;
                slot.store(pte::pointer(fresh), Ordering::Release);
                fresh
            } else if pte::is_leaf_at(value, level) {
                return Err(MapError::Occupied);
            } else {
                PhysAddr::new(value & ADDRESS)
            };
            level -= 1;
        }
        Ok(table(base))
    }

    /// The leaf that contains `va`, an address of a program.
    fn leaf_slot(&self, va: u64) -> Option<(&'static AtomicU64, PageSize)> {
        users(va).ok()?;
        let mut base = self.root();
        let mut level = ROOT_LEVEL;
        loop {
            let slot = entry(base, va, level);
            let value = slot.load(Ordering::Relaxed);
            if value == 0 {
                return None;
            }
            if pte::is_leaf_at(value, level) {
                return Some((slot, pte::size_at(level)));
            }
            base = PhysAddr::new(value & ADDRESS);
            level -= 1;
        }
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        shootdown::retire(&self.space);
        let mut at = 0;
        // Of a process that has ended everything was taken out, with regard to Linux.
        while self.resident != 0 && at < USER_HALF_END {
            let rest = Range {
                start: at,
                end: USER_HALF_END,
            };
            let taken = self.take_each(rest);
            at = taken.end();
            drop(taken.flush(&self.space));
        }
        for entry in &table(self.root())[..KERNEL_HALF] {
            // SAFETY: no CPU has the table loaded, and it is not used any more.
            unsafe { walk::free_below(entry.load(Ordering::Relaxed), ROOT_LEVEL) };
        }
        // SAFETY: as above.
        drop(unsafe { walk::owned(self.root()) });
    }
}

/// `va`, if it is an address of a program.
const fn users(va: u64) -> Result<u64, MapError> {
    if va < USER_HALF_END {
        Ok(va)
    } else {
        Err(MapError::Occupied)
    }
}

/// The rights `flags` to the frame at `pa`, if it is Linux's.
fn foreign(pa: PhysAddr, flags: Flags) -> Result<Flags, MapError> {
    if partition::frame_number(pa).is_some() {
        return Err(MapError::Occupied);
    }
    Ok(Flags {
        mirrored: true,
        ..flags
    })
}

const _: () = assert!(LARGE_PAGE_BYTES == PageSize::Large.bytes());
