// SPDX-License-Identifier: GPL-2.0
//! Memory from Linux's page allocator: 2 MiB blocks for partitions, page-table pages for booting.

use super::compat;
use super::draft::Draft;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use crate::proto::page_table::ENTRIES;
use core::ptr::{addr_of, addr_of_mut, NonNull};
use kernel::bindings;
use kernel::prelude::*;
use kernel::time::{delay::fsleep, Delta};

/// Order of a 2 MiB folio.
const BLOCK_ORDER: u32 = 9;
/// Pages of a block.
const BLOCK_PAGES: u64 = 1 << BLOCK_ORDER;

/// Most looks at a block that seems pinned.
const PIN_LOOKS: u32 = 5;
/// The pause between two such looks.
const PIN_PAUSE_US: i64 = 200;

const fn gfp(bit: u32) -> bindings::gfp_t {
    1 << bit
}

/// Compound, from the named node only, hard tries but no out-of-memory killer and no warning.
/// Without `__GFP_MOVABLE` neither ZONE_MOVABLE nor CMA is touched, where long-term pins would
/// loop for ever.
const BLOCK_FLAGS: bindings::gfp_t = bindings::GFP_KERNEL
    | bindings::__GFP_NOWARN
    | gfp(bindings::___GFP_COMP_BIT)
    | gfp(bindings::___GFP_THISNODE_BIT)
    | gfp(bindings::___GFP_RETRY_MAYFAIL_BIT);

/// A 2 MiB folio taken from Linux. Dropping it gives our reference back; the last user of the
/// folio (a pin of Linux may outlive us) frees it.
pub(crate) struct Block(NonNull<bindings::page>);

// SAFETY: a folio belongs to no task or CPU.
unsafe impl Send for Block {}
// SAFETY: `&Block` only reads constant properties of the folio.
unsafe impl Sync for Block {}

impl Block {
    /// Takes a block of `node`. May sleep and reclaim.
    pub(crate) fn allocate(node: u32) -> Option<Self> {
        if node_bytes(node) == 0 {
            return None;
        }
        let node = c_int::try_from(node).ok()?;
        // SAFETY: it has memory, as was just seen.
        let folio = unsafe { compat::folio_of_node(BLOCK_FLAGS, BLOCK_ORDER, node) };
        folio.map(Self)
    }

    /// Takes the block at `phys`, a multiple of 2 MiB, of `node`; what Linux has in it moves elsewhere.
    /// `None`: something there cannot move, or it is none of the node's ordinary memory. May sleep.
    pub(crate) fn claim(phys: u64, node: u32) -> Option<Self> {
        let first = phys / PAGE_BYTES;
        let last = first.checked_add(BLOCK_PAGES)?;
        // SAFETY: any number may be asked about.
        let page = NonNull::new(unsafe { bindings::pfn_to_online_page(first as c_ulong) })?;
        // SAFETY: memory that is online has a valid `struct page`.
        let its_node = unsafe { bindings::page_to_nid(page.as_ptr()) };
        // SAFETY: the page is online, and of this node.
        if u32::try_from(its_node) != Ok(node) || unsafe { is_movable(node, first) } {
            return None;
        }
        // SAFETY: the range begins in memory that is online, whose blocks are larger than 2 MiB.
        let done = unsafe {
            bindings::alloc_contig_frozen_range_noprof(
                first as c_ulong,
                last as c_ulong,
                0,
                BLOCK_FLAGS,
            )
        };
        if done != 0 {
            return None;
        }
        // SAFETY: the folio is ours alone, and nobody holds a reference yet: ours is the first.
        unsafe { addr_of_mut!((*page.as_ptr())._refcount.counter).write_volatile(1) };
        Some(Self(page))
    }

    /// Physical address, a multiple of 2 MiB.
    pub(crate) fn phys(&self) -> u64 {
        // SAFETY: a constant of this boot; the page lies in the array that begins there.
        let start = unsafe { bindings::vmemmap_base };
        let index = (self.0.as_ptr() as usize).wrapping_sub(start) / size_of::<bindings::page>();
        index as u64 * PAGE_BYTES
    }

    /// NUMA node.
    pub(crate) fn node(&self) -> u32 {
        // SAFETY: the page is ours.
        u32::try_from(unsafe { bindings::page_to_nid(self.0.as_ptr()) }).unwrap_or(0)
    }

    /// Whether somebody else has a reference, and not only for a moment, as who walks over all memory
    /// does. Sleeps if so.
    pub(crate) fn is_pinned(&self) -> bool {
        (0..PIN_LOOKS).all(|look| {
            if look != 0 {
                fsleep(Delta::from_micros(PIN_PAUSE_US));
            }
            // SAFETY: the page is ours; the count is a word that others change, read once.
            let count = unsafe { addr_of!((*self.0.as_ptr())._refcount.counter).read_volatile() };
            count != 1
        })
    }

    /// Adds `bytes` bytes from `offset` on to `answer`; a co-kernel may write them meanwhile.
    pub(crate) fn copy_out(&self, offset: usize, bytes: usize, answer: &mut Draft) -> Result {
        let end = offset.checked_add(bytes).ok_or(EINVAL)?;
        if end as u64 > LARGE_PAGE_BYTES {
            return Err(EINVAL);
        }
        // SAFETY: inside the folio, which is ours.
        unsafe { answer.add(to_virtual(self.phys()).wrapping_add(offset), bytes) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let page = self.0.as_ptr();
        // SAFETY: we own one reference to the head page of a folio, and `folio` begins with it.
        unsafe {
            if bindings::atomic_dec_and_test(addr_of_mut!((*page)._refcount)) {
                bindings::__folio_put(page.cast());
            }
        }
    }
}

/// Whether page `number` of `node` lies in ZONE_MOVABLE.
///
/// # Safety
///
/// `node` has memory.
unsafe fn is_movable(node: u32, number: u64) -> bool {
    // SAFETY: by contract the node has data; the zone's bounds are plain words.
    unsafe {
        let zone = addr_of!((*node_data(node)).node_zones)
            .cast::<bindings::zone>()
            .add(bindings::zone_type_ZONE_MOVABLE as usize);
        let start = (*zone).zone_start_pfn as u64;
        number.wrapping_sub(start) < (*zone).spanned_pages as u64
    }
}

/// The first and the last address of the memory of `node`; there may be holes.
pub(crate) fn node_span(node: u32) -> (u64, u64) {
    if node_bytes(node) == 0 {
        return (0, 0);
    }
    // SAFETY: a node with memory has its data set.
    let (first, count) = unsafe {
        let data = node_data(node);
        ((*data).node_start_pfn, (*data).node_spanned_pages)
    };
    let first = first as u64 * PAGE_BYTES;
    (first, first.saturating_add(count as u64 * PAGE_BYTES))
}

/// Linux's description of `node`.
///
/// # Safety
///
/// `node` is a possible one; the pointer is null or lasts until the node's memory is unplugged.
unsafe fn node_data(node: u32) -> *const bindings::pglist_data {
    // SAFETY: the caller's promise; the array has a word for each possible node.
    unsafe {
        addr_of!(bindings::node_data)
            .cast::<*const bindings::pglist_data>()
            .add(node as usize)
            .read()
    }
}

/// Bytes of memory `node` has; 0 if there is no such node.
pub(crate) fn node_bytes(node: u32) -> u64 {
    let index = node as usize;
    // SAFETY: `node_states` is a static of the kernel; a node with memory has its data set.
    unsafe {
        let states = &*addr_of!(bindings::node_states);
        let with_memory = states.get(bindings::node_states_N_MEMORY as usize);
        let word = with_memory
            .and_then(|mask| mask.bits.get(index / 64))
            .copied()
            .unwrap_or(0);
        if word & (1 << (index % 64)) == 0 {
            return 0;
        }
        (*node_data(node)).node_present_pages as u64 * PAGE_BYTES
    }
}

/// Bytes Linux thinks it could give away without swapping, on all nodes together.
pub(crate) fn available_bytes() -> u64 {
    // SAFETY: no requirement.
    u64::try_from(unsafe { bindings::si_mem_available() }).unwrap_or(0) * PAGE_BYTES
}

/// Linux's address of physical memory that its direct map covers.
pub(crate) fn to_virtual(phys: u64) -> *mut u8 {
    // SAFETY: a constant of this boot.
    unsafe { bindings::page_offset_base }.wrapping_add(phys as usize) as *mut u8
}

/// A zeroed page below 4 GiB, where page tables must lie that a CPU loads in 32-bit mode.
pub(crate) struct TablePage(NonNull<u64>);

// SAFETY: memory belongs to no task or CPU.
unsafe impl Send for TablePage {}

impl TablePage {
    /// Takes a page.
    pub(crate) fn new() -> Result<Self> {
        let flags =
            bindings::GFP_KERNEL | gfp(bindings::___GFP_DMA32_BIT) | gfp(bindings::___GFP_ZERO_BIT);
        // SAFETY: no requirement.
        let address = unsafe { bindings::get_free_pages_noprof(flags, 0) };
        NonNull::new(address as *mut u64).map(Self).ok_or(ENOMEM)
    }

    /// Physical address.
    pub(crate) fn phys(&self) -> u64 {
        // SAFETY: a constant of this boot.
        (self.0.as_ptr() as usize).wrapping_sub(unsafe { bindings::page_offset_base }) as u64
    }

    /// Writes entry `index` (modulo the number of entries).
    pub(crate) fn set(&mut self, index: usize, entry: u64) {
        // SAFETY: the page is ours and the index inside it.
        unsafe {
            self.0
                .as_ptr()
                .add(index % ENTRIES as usize)
                .write_volatile(entry)
        };
    }
}

impl Drop for TablePage {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, and no CPU uses it any more, as the owner promised.
        unsafe { bindings::free_pages(self.0.as_ptr() as usize, 0) };
    }
}

const _: () = assert!(LARGE_PAGE_BYTES == PAGE_BYTES << BLOCK_ORDER);
