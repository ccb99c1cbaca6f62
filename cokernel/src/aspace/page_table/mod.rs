// SPDX-License-Identifier: GPL-2.0
//! Page tables: whose frames leaves lead to, and which CPUs know them; [`cokernel_logic::page_table`] writes
//! the entries. The lower half is a program's, the upper half is the kernel's and the same in every table.
//!
//! A leaf of a program's half has a count of its frames: what is mapped is moved in as a value, and what
//! is removed comes out as one. Frames of Linux's are shown, and belong to nobody here.

mod kernel;
mod remove;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use cokernel_logic::page_table::{Table, TableMemory, Tables};
use cokernel_logic::pte::{index, leaf};
use cokernel_logic::vma::Range;
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::arch::pte::{self, Flags, Mapping, PageSize};
use crate::aspace::shootdown::{self, Space};
use crate::frames::extents::{run_of, single};
use crate::frames::owned::OwnedRun;
use crate::frames::refcount::{self, Overflow};
use crate::frames::shared::SharedRun;
use crate::frames::watermark;
use crate::partition;

pub use cokernel_logic::page_table::{MapError, OutOfFrames};
pub use kernel::{map_kernel, map_kernel_frame, set_kernel};
pub use remove::Taken;

/// First entry of the kernel's half.
const KERNEL_HALF: usize = 256;
/// The end of a program's half.
const USER_HALF_END: u64 = 1 << 47;

/// The tables of this kernel lie in the partition.
#[derive(Clone, Copy)]
struct InPartition;

impl TableMemory for InPartition {
    #[inline]
    fn table(&self, address: PhysAddr) -> &Table {
        // SAFETY: entries are written through this only; what they and roots lead to is a table of
        // `new_table`, which is nothing but words until it is freed, and that ends all looks at it.
        unsafe { partition::own_page(address) }
    }

    fn new_table(&self) -> Option<PhysAddr> {
        let mut frame = watermark::alloc_structure()?;
        frame.zero();
        let address = frame.start();
        let _ = frame.into_raw();
        Some(address)
    }
}

/// The frame of the table at `address`, which [`InPartition`] made.
///
/// # Safety
///
/// No entry leads to it any more, and nobody looks at it.
unsafe fn owned(address: PhysAddr) -> OwnedRun {
    let frame = partition::frame_number(address).expect("a table outside the partition");
    // SAFETY: by contract nobody has it.
    unsafe { OwnedRun::from_raw(single(frame)) }
}

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
        let root = InPartition.new_table()?;
        let (to, from) = (
            InPartition.table(root),
            InPartition.table(pte::kernel_root()),
        );
        for (to, from) in to.iter().zip(from).skip(KERNEL_HALF) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Some(Self::at(root))
    }

    /// Tables of the kernel itself, all entries empty. Boot only.
    pub fn new_kernel() -> Option<Self> {
        Some(Self::at(InPartition.new_table()?))
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

    #[inline]
    fn tables(&self) -> Tables<InPartition> {
        Tables::new(self.root(), InPartition)
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
        assert!(size == PageSize::Small || partition::map().contains(pa.as_u64(), size.bytes()));
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
    /// The kernel expects at `va`, with the rights of `flags`, what is at `pa`.
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
        let gone = self.tables().enter(va, pa, size, flags)?;
        if !gone.is_empty() {
            self.retire_tables(va, size, gone);
        }
        Ok(())
    }

    /// Maps `run` as small pages from `va` on; the run and its addresses lie in one block of 2 MiB each.
    /// Those in whose place something is already are given up.
    ///
    /// # Errors
    ///
    /// [`MapError`] says why nothing was mapped; `run` is given up.
    pub fn map_run(&mut self, va: u64, run: SharedRun, flags: Flags) -> Result<(), MapError> {
        let tables = self.tables();
        let table = tables.table_for(users(va)?, PageSize::Small)?;
        let places = &table[index(va, PageSize::Small.level())..];
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
                slot.store(leaf(pa, PageSize::Small, flags), Ordering::Release);
                mapped += PAGE_BYTES;
            } else {
                // SAFETY: the count was the run's, and no leaf has got it.
                drop(unsafe { SharedRun::from_raw(single(frame)) });
            }
        }
        self.count_in(mapped);
        Ok(())
    }

    /// Hands the pages that begin in, or reach into, `range`, ascending, to `take`, each with one count more
    /// of its frames for another address space (`None`: they are Linux's), and gives them the rights that
    /// it returns. Ends before a page of 1 GiB, or after `most` pages: returns where to go on. The caller
    /// flushes.
    ///
    /// # Errors
    ///
    /// That of `take`, which is told when too many have a page.
    pub fn share_each<E>(
        &mut self,
        range: Range,
        mut most: u32,
        mut take: impl FnMut(u64, &Mapping, Result<Option<SharedRun>, Overflow>) -> Result<Flags, E>,
    ) -> Result<u64, E> {
        let within = range.start..range.end.min(USER_HALF_END);
        let end = self.tables().visit(within, |start, slot, size| {
            if most == 0 || size == PageSize::Giant {
                return ControlFlow::Break(Ok(start));
            }
            most -= 1;
            let page = Mapping::of(slot.load(Ordering::Relaxed), size);
            // SAFETY: the leaf has a count, and cannot lose it meanwhile: that needs `&mut self`.
            let share = |run| unsafe { refcount::add(run) };
            match take(start, &page, run_of(&page).map(share).transpose()) {
                Ok(flags) if flags == page.flags => {}
                Ok(flags) => {
                    slot.swap(leaf(page.pa, size, flags), Ordering::SeqCst);
                }
                Err(error) => return ControlFlow::Break(Err(error)),
            }
            ControlFlow::Continue(())
        });
        end.break_value().unwrap_or(Ok(range.end))
    }

    /// Changes the rights of the leaf that contains `va`. The caller flushes.
    pub fn protect(&mut self, va: u64, flags: Flags) {
        if users(va).is_ok() {
            self.tables().protect(va, flags);
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
        users(va).map_err(|_| OutOfFrames)?;
        self.tables().split(va)
    }

    /// Makes `va` the first address of a leaf, if it lies in one. As [`Self::split`].
    ///
    /// # Errors
    ///
    /// No frame for a table; `va` may lie inside a smaller leaf than before.
    pub fn cut(&mut self, va: u64) -> Result<(), OutOfFrames> {
        if va >= USER_HALF_END {
            return Ok(());
        }
        self.tables().cut(va)
    }

    /// The leaf that contains `va`.
    pub fn lookup(&self, va: u64) -> Option<Mapping> {
        users(va).ok()?;
        self.tables().lookup(va)
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
        users(va).is_ok() && self.tables().note_use(va)
    }

    /// The first leaf that begins in, or reaches into, `[from, to)`, and its first address. User
    /// half only.
    pub fn next_mapping(&self, from: u64, to: u64) -> Option<(u64, Mapping)> {
        self.tables().next(from..to.min(USER_HALF_END))
    }

    /// Hands every leaf that begins in, or reaches into, `[from, to)` to `look`, ascending, with its
    /// first address. User half only.
    pub fn for_each(&self, from: u64, to: u64, mut look: impl FnMut(u64, Mapping)) {
        let range = from..to.min(USER_HALF_END);
        let _: ControlFlow<()> = self.tables().visit(range, |start, slot, size| {
            look(start, Mapping::of(slot.load(Ordering::Relaxed), size));
            ControlFlow::Continue(())
        });
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

    /// Retires the tables `gone`, in whose place a leaf of `size` is at `va`.
    fn retire_tables(&mut self, va: u64, size: PageSize, gone: Vec<PhysAddr>) {
        // CPUs may have cached that the tables are there.
        let end = if size == PageSize::Giant {
            va + size.bytes()
        } else {
            va + PAGE_BYTES
        };
        shootdown::shootdown(&self.space, va, end, PageSize::Small);
        // SAFETY: their entries were replaced, and no CPU follows the old ones any more.
        let gone = gone.into_iter().map(|table| unsafe { owned(table) });
        self.retired.extend(gone);
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
        // SAFETY: no CPU has them loaded; each is visited after those below it, and not looked at again.
        let free = |table| drop(unsafe { owned(table) });
        self.tables().visit_tables(0..KERNEL_HALF, free);
        free(self.root());
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
