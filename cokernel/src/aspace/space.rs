// SPDX-License-Identifier: GPL-2.0
//! An address space: what the program was promised (areas) and what is there (page table).
//!
//! Lock order: the layout lock ([`crate::mm::layout`]; sleeps, may be held while waiting for Linux;
//! serialises everything that moves areas), then `inner` (a spinlock, held for short stretches; faults
//! take only this). Never touch user memory under `inner`: the fault handler needs it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use cokernel_logic::frames::Place;
use cokernel_logic::policy::{Mode, Policy};
use cokernel_logic::sources::{Source, Sources};
use cokernel_logic::vma::{Area, AreaMap, Attributes, Kind, Protection, Range};
use ihk_ikc::layout::{PAGE_BYTES, WINDOW_END};
use ihk_ikc::packet::ProcessHandle;
use x86_64::PhysAddr;

use crate::arch;
use crate::arch::pte::{Flags, Mapping, PageSize};
use crate::aspace::page_table::{MapError, PageTable, Taken};
use crate::aspace::shootdown;
use crate::errno::Errno;
use crate::frames::extents::ExtentList;
use crate::frames::shared::SharedRun;
use crate::frames::{refcount, watermark};
use crate::sync::SpinLock;

/// Most areas of one address space: Linux's default `vm.max_map_count`, 65,530, less what the proxy
/// has beside its window, which is cut into as many pieces.
const MAX_AREAS: usize = 65_000;

/// An address space: the areas that the program was promised, and the page table that says what is
/// there.
pub struct AddressSpace {
    /// The holder of the layout lock, see [`Self::layout`].
    layout: AtomicUsize,
    inner: SpinLock<Inner>,
    /// The table as the hardware sees it.
    pub hardware: Arc<shootdown::Space>,
    /// The addresses at which areas may lie.
    pub window: Range,
    /// mmap areas are given out downwards from here.
    pub mmap_top: u64,
    owner: AtomicU32,
    /// Processes that have not given it up.
    users: AtomicU32,
}

/// The data that the lock `inner` protects.
pub struct Inner {
    /// The pages that are there.
    pub table: PageTable,
    /// The areas that were promised to the program.
    pub areas: AreaMap,
    /// Parts of the window that are read-only in the proxy.
    pub proxy_read_only: AreaMap,
    /// System V shared memory by the address it was attached at: its bytes.
    pub attached: BTreeMap<u64, u64>,
    /// Initial program break.
    pub break_start: u64,
    /// Present program break.
    pub break_now: u64,
    /// Whether new areas are locked.
    pub lock_new: LockNew,
    /// The policies of areas, by number − 1.
    pub policies: Vec<Policy>,
    /// The files that pages of private mappings come from.
    pub sources: Sources,
    /// The longest that an area that grows downwards may become, in bytes.
    pub stack_limit: u64,
    /// The most that all areas together may become by that, in bytes.
    pub space_limit: u64,
    /// Protection keys that are taken, bit n = key n.
    pub keys: u16,
}

/// The wish of `mlockall` for areas to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockNew {
    /// They are not locked.
    No,
    /// Locked and filled at once.
    Filled,
    /// Locked when they are touched.
    OnFault,
}

impl AddressSpace {
    /// An empty address space for the window [`window_start`, [`WINDOW_END`]). `None` if there is
    /// no frame for its table.
    pub fn new(owner: ProcessHandle, window_start: u64, mmap_top: u64) -> Option<Self> {
        let table = PageTable::new_user()?;
        let hardware = table.space().clone();
        let inner = Inner {
            table,
            areas: AreaMap::new(),
            proxy_read_only: AreaMap::new(),
            attached: BTreeMap::new(),
            break_start: 0,
            break_now: 0,
            lock_new: LockNew::No,
            policies: Vec::new(),
            sources: Sources::new(),
            stack_limit: u64::MAX,
            space_limit: u64::MAX,
            keys: 1,
        };
        Some(Self {
            layout: AtomicUsize::new(0),
            inner: SpinLock::new(inner),
            hardware,
            window: Range {
                start: window_start,
                end: WINDOW_END,
            },
            mmap_top,
            owner: AtomicU32::new(owner),
            users: AtomicU32::new(1),
        })
    }

    /// The process in whose window Linux sees it. A child of vfork uses its parent's.
    pub fn owner(&self) -> ProcessHandle {
        self.owner.load(Ordering::Relaxed)
    }

    /// The owner's handle is known; before the space is first run.
    pub fn set_owner(&self, owner: ProcessHandle) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// One more process uses it.
    pub fn add_user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// A process gives it up. `true`: it was the last one and frees the pages.
    pub fn remove_user(&self) -> bool {
        self.users.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Physical address of the top-level page table.
    pub fn root(&self) -> PhysAddr {
        self.hardware.root()
    }

    /// The number of whoever holds the layout lock and may move areas; 0: nobody. For [`crate::mm::layout`].
    pub fn layout(&self) -> &AtomicUsize {
        &self.layout
    }

    /// Forgets translations of `range` on every CPU that may have them.
    pub fn flush(&self, range: Range) {
        shootdown::shootdown(&self.hardware, range.start, range.end, PageSize::Small);
    }

    /// Forgets the translation of the page at `address` on every CPU that may have it.
    pub fn flush_page(&self, address: u64) {
        self.flush(Range {
            start: address,
            end: address + PAGE_BYTES,
        });
    }

    /// Runs `f` on areas and table. Short, no user memory, no waiting.
    pub fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self.inner.lock())
    }

    /// Whether `range` is page-aligned, not empty and inside the window.
    pub fn is_valid(&self, range: Range) -> bool {
        !range.is_empty()
            && range.start % PAGE_BYTES == 0
            && range.end % PAGE_BYTES == 0
            && self.window.covers(&range)
    }
}

impl Inner {
    /// Adds an area.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if the range is taken or there are too many areas.
    pub fn add_area(&mut self, range: Range, attributes: Attributes) -> Result<(), Errno> {
        if self.areas.len() >= MAX_AREAS || !watermark::has_room_for_structures(0) {
            return Err(Errno::ENOMEM);
        }
        self.areas
            .insert(range, attributes)
            .map_err(|_| Errno::ENOMEM)
    }

    /// Takes the areas of `range` out and returns them. The vdso's stay, out of reach.
    pub fn remove_areas(&mut self, range: Range) -> Vec<Area> {
        let mut removed = self.areas.remove(range);
        removed.retain(|area| {
            let kept = Attributes::new(Kind::Special, Protection::default());
            let stays = area.attributes.kind == Kind::Special;
            !(stays && self.areas.insert(area.range, kept).is_ok())
        });
        removed
    }

    /// Maps one page with the rights of `protection`; without any, the page is held out of reach.
    ///
    /// # Errors
    ///
    /// No frame for a table, or the place is taken: the page is given up.
    pub fn place(
        &mut self,
        address: u64,
        page: impl Into<SharedRun>,
        protection: Protection,
    ) -> Result<(), MapError> {
        self.table.map(address, page.into(), flags_of(protection))
    }

    /// Takes pages out of `range`; see [`PageTable::take_each`]. Cuts large pages at the edges.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: no frame to cut a large page; nothing was taken.
    pub fn take_pages(&mut self, range: Range) -> Result<Taken, Errno> {
        self.cut_edges(range)?;
        Ok(self.table.take_each(range))
    }

    /// The pages that lie in `range`, or reach into it.
    pub fn pages(&self, range: Range) -> impl Iterator<Item = Mapping> + '_ {
        let mut at = range.start;
        core::iter::from_fn(move || {
            let (address, mapping) = self.table.next_mapping(at, range.end)?;
            at = address + mapping.size.bytes();
            Some(mapping)
        })
    }

    /// The part of `range` that the first pages in it reach to, so many that work on them may take place under
    /// one hold of the lock. It begins where `range` does, and cuts no page.
    pub fn first_turn(&self, range: Range) -> Range {
        /// Pages in a turn.
        const PAGES: usize = 512;
        let mut at = range.start;
        for _ in 0..PAGES {
            let Some((address, page)) = self.table.next_mapping(at, range.end) else {
                return range;
            };
            at = address + page.size.bytes();
        }
        Range {
            end: at.min(range.end),
            ..range
        }
    }

    /// The frames in `range` that Linux may have mapped there or elsewhere.
    pub fn exposed_frames(&self, range: Range) -> ExtentList {
        let mut runs = ExtentList::default();
        self.add_exposed_frames(range, &mut runs);
        runs
    }

    /// Adds them to `runs`.
    pub fn add_exposed_frames(&self, range: Range, runs: &mut ExtentList) {
        self.table.for_each(range.start, range.end, |_, mapping| {
            runs.add_if_exposed(&mapping);
        });
    }

    /// Changes the rights of every page mapped in `range`, except that a page another address space
    /// has, too, becomes writable only by a fault that copies it. Pages of Linux's stay as they are.
    /// Flush afterwards.
    ///
    /// # Errors
    ///
    /// No frame to cut a large page; nothing was changed.
    pub fn set_rights(&mut self, range: Range, protection: Protection) -> Result<(), Errno> {
        self.cut_edges(range)?;
        let mut at = range.start;
        while let Some((address, mapping)) = self.table.next_mapping(at, range.end) {
            at = address + mapping.size.bytes();
            if mapping.flags.mirrored {
                continue;
            }
            let copy_first = protection.write && self.is_copied_on_write(address, &mapping);
            // A page that may only be written can be read all the same, so it stays present.
            let flags = Flags {
                write: protection.write && !copy_first,
                ..flags_of(protection)
            };
            self.table.protect(address, flags);
        }
        Ok(())
    }

    /// Whether the page at `address` must be copied before it is written.
    pub fn is_copied_on_write(&self, address: u64, mapping: &Mapping) -> bool {
        let area = self.areas.find(address);
        area.is_none_or(|area| !area.attributes.shared) && refcount::is_shared(mapping)
    }

    /// The number of `policy`; 0 for the default one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: too many different ones.
    pub fn intern(&mut self, policy: Policy) -> Result<u16, Errno> {
        if policy.mode == Mode::Default {
            return Ok(0);
        }
        let known = self.policies.iter().position(|other| *other == policy);
        let index = known.unwrap_or(self.policies.len());
        let number = u16::try_from(index + 1).map_err(|_| Errno::ENOMEM)?;
        if known.is_none() {
            self.policies.push(policy);
        }
        Ok(number)
    }

    /// The policy that an area with the attributes `what` was given.
    pub fn own_policy(&self, what: &Attributes) -> Option<Policy> {
        let index = usize::from(what.policy).checked_sub(1)?;
        self.policies.get(index).copied()
    }

    /// The policy of an area with the attributes `what`: its own, else `default`.
    pub fn policy_of(&self, what: &Attributes, default: Policy) -> Policy {
        self.own_policy(what).unwrap_or(default)
    }

    /// The file that the pages of an area with the attributes `what` come from, if there is one.
    pub fn source_of(&self, what: &Attributes) -> Option<Source> {
        self.sources.get(what.source)
    }

    /// The numbers of files that no area has any more since the last call.
    pub fn take_unused_files(&mut self) -> Vec<u32> {
        let sources = self.areas.take_unsourced();
        let forget = |number| self.sources.remove(number);
        sources.into_iter().filter_map(forget).collect()
    }

    /// The policy at `address`, where areas have that of their own or `default`.
    pub fn policy_at(&self, address: u64, default: Policy) -> Policy {
        let area = self.areas.find(address);
        area.map_or_else(Policy::default, |area| {
            self.policy_of(&area.attributes, default)
        })
    }

    /// The place in memory for a small page at `address`; see [`Self::policy_at`].
    pub fn place_at(&self, address: u64, default: Policy) -> Place {
        self.policy_at(address, default)
            .place(arch::cpu_node(), address / PAGE_BYTES)
    }

    /// Whether the areas that the ends of `range` cut may become two each.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn check_split(&self, range: Range) -> Result<(), Errno> {
        let is_inside = |&&address: &&u64| {
            let area = self.areas.find(address);
            area.is_some_and(|area| area.range.start < address)
        };
        let cuts = [range.start, range.end].iter().filter(is_inside).count();
        let room = self.areas.len() + cuts <= MAX_AREAS && watermark::has_room_for_structures(0);
        if cuts != 0 && !room {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// Whether any page lies in `range`.
    pub fn has_pages(&self, range: Range) -> bool {
        self.table.next_mapping(range.start, range.end).is_some()
    }

    /// Makes both ends of `range` page boundaries: cuts the large pages that span them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: no frame for the table of small pages.
    pub fn cut_edges(&mut self, range: Range) -> Result<(), Errno> {
        for address in [range.start, range.end] {
            self.table.cut(address).map_err(|_| Errno::ENOMEM)?;
        }
        Ok(())
    }
}

/// Page table rights for `protection`.
pub fn flags_of(protection: Protection) -> Flags {
    Flags {
        key: protection.key,
        ..Flags::user(
            protection.is_accessible(),
            protection.write,
            protection.exec,
        )
    }
}
