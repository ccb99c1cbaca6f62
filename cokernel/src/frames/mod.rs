// SPDX-License-Identifier: GPL-2.0
//! The frames of the partition: the allocator and the heap, how many address spaces have a frame, the page
//! cache of files, and what Linux has not let go of yet.

#[expect(unsafe_code, reason = "frames become values that own them")]
pub mod allocator;
pub mod extents;
#[expect(unsafe_code, reason = "the kernel heap hands out raw memory")]
pub mod heap;
#[expect(unsafe_code, reason = "the kernel heap uses raw memory")]
pub mod heap_reserve;
#[expect(unsafe_code, reason = "views of the frames that a value owns")]
pub mod owned;
#[expect(unsafe_code, reason = "the page cache knows frames by number")]
pub mod page_cache;
#[expect(unsafe_code, reason = "lists know frames by number")]
pub mod page_frames;
pub mod per_cpu_cache;
pub mod pinned;
pub mod prezero;
#[expect(
    unsafe_code,
    reason = "counts that come to nothing become frames again"
)]
pub mod refcount;
#[expect(unsafe_code, reason = "lists know frames by number")]
pub mod shared;
#[expect(unsafe_code, reason = "lists through the free memory itself")]
pub mod slab;
#[expect(unsafe_code, reason = "clears free frames")]
pub mod table;
pub mod watermark;

use bootloader_api::info::MemoryRegionKind;
use bootloader_api::BootInfo;
use cokernel_logic::frames::{Frames, FRAMES_PER_BLOCK};
use cokernel_logic::memory_map::giants_of;
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::{arch, partition};

/// Gives the usable regions of `info` to the frame allocator. The boot CPU, once.
///
/// # Safety
///
/// They are nobody's.
#[expect(unsafe_code, reason = "memory becomes frames")]
pub unsafe fn init_frames(info: &BootInfo) {
    let mut frames = Frames::new(partition::block_count());
    for range in partition::map().ranges {
        let first = range.first_frame / FRAMES_PER_BLOCK;
        let count = range.region.bytes / LARGE_PAGE_BYTES;
        (first..)
            .take(count as usize)
            .for_each(|block| frames.set_node(block, range.node));
        if arch::has_giant_pages() {
            giants_of(range).for_each(|block| frames.set_giant(block));
        }
    }
    let usable = info
        .memory_regions
        .iter()
        .filter(|region| region.kind == MemoryRegionKind::Usable);
    for region in usable {
        let first = partition::frame_number(PhysAddr::new(region.start))
            .expect("usable region outside the partition");
        let count = (region.end - region.start) / PAGE_BYTES;
        let count = u32::try_from(count).expect("usable region too large");
        frames.add(first, count).expect("usable regions overlap");
    }
    table::install(frames);
    per_cpu_cache::init(arch::cpu_count());
    heap_reserve::init();
    refcount::init();
    page_cache::init();
}
