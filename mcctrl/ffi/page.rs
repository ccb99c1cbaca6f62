// SPDX-License-Identifier: GPL-2.0
//! `struct page`: references, and whether somebody beyond page tables holds a frame.
//!
//! Partition memory consists of 2 MiB folios (order 9) that ihk.ko allocated; the head page of a
//! frame's folio is the one at the next lower multiple of 2 MiB.

use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};
use kernel::{bindings, prelude::*};

/// The `struct page` of a physical address that is known to be ordinary memory.
pub(crate) fn page_at(phys: u64) -> *mut bindings::page {
    // SAFETY: set once at boot.
    let map = unsafe { bindings::vmemmap_base } as *mut bindings::page;
    map.wrapping_add((phys / PAGE_BYTES) as usize)
}

/// The physical address of a page.
pub(crate) fn phys_of(page: *mut bindings::page) -> u64 {
    // SAFETY: set once at boot.
    let map = unsafe { bindings::vmemmap_base };
    let index = (page as usize).wrapping_sub(map) / size_of::<bindings::page>();
    (index as u64).wrapping_mul(PAGE_BYTES)
}

/// The folio of the partition that contains `phys`.
pub(crate) fn folio_at(phys: u64) -> *mut bindings::folio {
    page_at(phys & !(LARGE_PAGE_BYTES - 1)).cast()
}

/// `word` as an atomic.
///
/// # Safety
///
/// It is a counter in a `struct page` of present memory, which stays for ever.
unsafe fn counter(word: *mut bindings::atomic_t) -> &'static AtomicI32 {
    // SAFETY: by contract it is there; the kernel uses it atomically, too.
    unsafe { &*word.cast::<AtomicI32>() }
}

/// The reference count of `page`.
///
/// # Safety
///
/// It is a `struct page` of present memory.
unsafe fn reference_count(page: *mut bindings::page) -> &'static AtomicI32 {
    // SAFETY: by contract.
    unsafe { counter(core::ptr::addr_of_mut!((*page)._refcount)) }
}

/// A reference to a page: it is not given to anybody else while this lives.
pub(crate) struct PageRef(NonNull<bindings::page>);

// SAFETY: page references are not bound to a thread.
unsafe impl Send for PageRef {}
// SAFETY: as above.
unsafe impl Sync for PageRef {}

impl PageRef {
    /// A fresh page of zeroes.
    pub(crate) fn zeroed() -> Result<Self> {
        // SAFETY: any flags and order 0 are allowed.
        let page = unsafe { bindings::alloc_pages(bindings::GFP_KERNEL | bindings::__GFP_ZERO, 0) };
        NonNull::new(page).map(Self).ok_or(ENOMEM)
    }

    /// One more reference to the page at `phys`; `None` if it is free, or not the first of its folio
    /// (the count of all others is always 0).
    ///
    /// # Safety
    ///
    /// `phys` lies in memory that has a `struct page`.
    pub(crate) unsafe fn try_get(phys: u64) -> Option<Self> {
        let page = page_at(phys);
        let increment = |count: i32| {
            if count > 0 {
                count.checked_add(1)
            } else {
                None
            }
        };
        // SAFETY: the caller's promise.
        unsafe { reference_count(page) }
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, increment)
            .ok()?;
        NonNull::new(page).map(Self)
    }

    /// One more reference to the folio of the partition that contains `phys`.
    ///
    /// # Safety
    ///
    /// `phys` lies in the partition of an attached instance.
    pub(crate) unsafe fn of_partition(phys: u64) -> Option<Self> {
        // SAFETY: partition memory is folios of 2 MiB, aligned to their size.
        unsafe { Self::try_get(phys & !(LARGE_PAGE_BYTES - 1)) }
    }

    /// The caller's reference to `folio`.
    ///
    /// # Safety
    ///
    /// The caller has one, and gives it away.
    pub(crate) unsafe fn from_folio(folio: NonNull<bindings::folio>) -> Self {
        Self(folio.cast())
    }

    /// The page itself.
    pub(crate) fn as_ptr(&self) -> *mut bindings::page {
        self.0.as_ptr()
    }

    /// Its physical address.
    pub(crate) fn phys(&self) -> u64 {
        phys_of(self.0.as_ptr())
    }
}

impl Drop for PageRef {
    fn drop(&mut self) {
        // SAFETY: we have a reference to it.
        let count = unsafe { reference_count(self.0.as_ptr()) };
        if count.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: that was the last reference, so the folio is ours to free. Every page held
            // here is the head of its folio.
            unsafe { bindings::__folio_put(self.0.as_ptr().cast()) };
        }
    }
}

/// The holders that a frame of the partition can have on Linux's side.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nothing: neither a mapping nor a pin.
    None,
    /// A page table maps it.
    Mapped,
    /// None does, but somebody pinned its folio (DMA, pipe buffers, registered memory).
    Pinned,
}

/// The counters that Linux keeps of a folio of the partition.
struct Counts {
    /// References.
    references: i32,
    /// Mappings, of the whole or of parts.
    mappings: i32,
    /// Whether the whole is mapped.
    is_mapped: bool,
}

impl Counts {
    /// Those of the folio that contains `phys`. The references are read before the mappings.
    ///
    /// # Safety
    ///
    /// `phys` lies in the partition of an attached instance.
    unsafe fn of(phys: u64) -> Self {
        let folio = folio_at(phys);
        // SAFETY: the caller's promise.
        let references = unsafe { reference_count(folio.cast()) }.load(Ordering::SeqCst);
        // SAFETY: a large folio has these fields in its second `struct page`.
        let counts = unsafe {
            &raw mut (*folio)
                .__bindgen_anon_2
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
        };
        // Both counters start at -1.
        // SAFETY: field addresses of valid `struct page`s.
        let (folio_maps, entire_maps) = unsafe {
            (
                counter(&raw mut (*counts)._large_mapcount),
                counter(&raw mut (*counts)._entire_mapcount),
            )
        };
        Self {
            references,
            mappings: folio_maps.load(Ordering::SeqCst).saturating_add(1),
            is_mapped: entire_maps.load(Ordering::SeqCst) >= 0,
        }
    }

    /// Whether somebody beyond page tables holds a part of it.
    fn is_pinned(&self) -> bool {
        self.references > self.mappings.saturating_add(1)
    }
}

/// Whether a page table maps the small page `page` on its own.
///
/// # Safety
///
/// It is a `struct page` of present memory.
unsafe fn is_mapped_alone(page: *mut bindings::page) -> bool {
    // The counter starts at -1.
    // SAFETY: by contract.
    let maps = unsafe { counter(&raw mut (*page).__bindgen_anon_2._mapcount) };
    maps.load(Ordering::SeqCst) >= 0
}

/// Looks at the frame at `phys`.
///
/// Sound only while no mapping of the folio can be *added*: then the count of references, read
/// first, exceeds 1 + the count of mappings, read second, whenever a pin exists.
///
/// # Safety
///
/// `phys` lies in the partition of an attached instance.
pub(crate) unsafe fn hold(phys: u64) -> Hold {
    // SAFETY: the caller's promise.
    let counts = unsafe { Counts::of(phys) };
    // SAFETY: the caller's promise.
    if counts.is_mapped || unsafe { is_mapped_alone(page_at(phys)) } {
        Hold::Mapped
    } else if counts.is_pinned() {
        Hold::Pinned
    } else {
        Hold::None
    }
}

/// Those of `mask` that nothing holds; bit n stands for the frame n pages after `phys`. Sound when
/// [`hold`] is.
///
/// # Safety
///
/// `phys` is a multiple of 64 pages, and lies in the partition of an attached instance.
pub(crate) unsafe fn free_of(phys: u64, mask: u64) -> u64 {
    // SAFETY: the caller's promise.
    let counts = unsafe { Counts::of(phys) };
    if counts.is_mapped || counts.is_pinned() {
        return 0;
    }
    if counts.mappings == 0 {
        return mask;
    }
    let first = page_at(phys);
    // SAFETY: the caller's promise.
    let is_mapped = |bit| unsafe { is_mapped_alone(first.wrapping_add(bit)) };
    (0..u64::BITS as usize)
        .filter(|bit| mask & 1 << bit != 0 && !is_mapped(*bit))
        .fold(0, |free, bit| free | 1 << bit)
}
