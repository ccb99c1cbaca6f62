// SPDX-License-Identifier: GPL-2.0
//! The memory of the partition: its ranges, the numbers of its frames, and the kernel's view of them
//! through the direct map.
//!
//! Every frame may be viewed as atomic words: the kernel's page tables are read by Linux at any
//! time, and what user space does to its frames at the same moment is not in our hands.

use core::sync::atomic::AtomicU64;

use cokernel_logic::frames::FRAMES_PER_BLOCK;
use cokernel_logic::memory_map::MemoryMap;
use ihk_ikc::layout::{DIRECT_MAP_BASE, PAGE_BYTES};
use spin::Once;
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch;
use crate::params::Params;

/// Words of a small page.
pub const PAGE_WORDS: usize = 512;

static MAP: Once<MemoryMap<'static>> = Once::new();
static EXPOSED: Once<&'static [AtomicU64]> = Once::new();

/// Learns where the partition lies; the direct map is usable from now on. The boot CPU, once.
pub fn init_ranges(params: Params) {
    let count = (params.memory_count as usize).min(params.memory.len());
    MAP.call_once(|| MemoryMap::new(&params.get().memory[..count]));
    let words = ihk_ikc::exposed::words_for(map().frame_count());
    let fits = map().contains(params.exposed.phys, words * 8) && params.exposed.bytes >= words * 8;
    assert!(
        fits && params.exposed.phys % 8 == 0,
        "exposed bitmap outside the partition"
    );
    let first = direct_map_ptr(PhysAddr::new(params.exposed.phys)).cast::<AtomicU64>();
    // SAFETY: just checked to lie in the partition; ihk.ko reserved it for the bitmap for as long
    // as the instance lives, and both sides use it as atomics only.
    EXPOSED.call_once(|| unsafe { core::slice::from_raw_parts(first, to_usize(words)) });
}

/// The number of 2 MiB blocks in the partition.
pub fn block_count() -> u32 {
    u32::try_from(map().frame_count() / u64::from(FRAMES_PER_BLOCK)).expect("partition of 8 EiB")
}

/// The node of the partition's memory at `address`.
pub fn node_of(address: PhysAddr) -> Option<u32> {
    map().range_at(address.as_u64()).map(|range| range.node)
}

/// Partition-wide number of the frame that contains `address`; `None` if it is not ours.
pub fn frame_number(address: PhysAddr) -> Option<u32> {
    map().frame_number(address.as_u64())
}

/// Frames from `frame` on that are certainly adjacent in memory: to the end of its block.
pub const fn in_block(frame: u32) -> u32 {
    FRAMES_PER_BLOCK - frame % FRAMES_PER_BLOCK
}

/// Address of frame `frame`. Panics if there is no such frame.
pub fn frame_address(frame: u32) -> PhysAddr {
    PhysAddr::new(map().frame_address(frame).expect("no such frame"))
}

/// The bitmap of frames Linux may have mapped; see `ihk_ikc::exposed`.
pub fn exposed_bits() -> &'static [AtomicU64] {
    EXPOSED.get().copied().unwrap_or(&[])
}

/// The kernel's pointer to `address`; meaningful only inside the partition.
pub fn direct_map_ptr(address: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(to_usize(DIRECT_MAP_BASE + address.as_u64()))
}

/// The small page that contains `address`, as atomic words. Panics outside the partition.
///
/// # Safety
///
/// For as long as the words are used, the kernel views the page as atomic words only.
pub unsafe fn page(address: PhysAddr) -> &'static [AtomicU64; PAGE_WORDS] {
    let address = address.align_down(PAGE_BYTES);
    assert!(
        map().contains(address.as_u64(), PAGE_BYTES),
        "{address:?} is not the partition's"
    );
    // SAFETY: the page lies in the partition; the rest is the caller's promise.
    unsafe { own_page(address) }
}

/// The small page at `address`, as [`page`], of which it is known that it is one of the partition's.
///
/// # Safety
///
/// As for [`page`], and `address` is a page's and the partition's.
#[inline]
pub unsafe fn own_page(address: PhysAddr) -> &'static [AtomicU64; PAGE_WORDS] {
    // SAFETY: the page lies in the partition, whose direct map stays for the life of the kernel;
    // any bytes are valid atomics, and by contract accesses through them race with nothing but
    // atomics, user space and Linux.
    unsafe { &*direct_map_ptr(address).cast::<[AtomicU64; PAGE_WORDS]>() }
}

/// Fills frames with zeros. Panics outside the partition.
///
/// # Safety
///
/// The kernel has no reference to anything in them.
pub unsafe fn zero(address: PhysAddr, bytes: u64) {
    assert!(
        map().contains(address.as_u64(), bytes),
        "{address:?} is not the partition's"
    );
    assert!(
        (address.as_u64() | bytes) % PAGE_BYTES == 0 && bytes > 0,
        "zero() takes whole frames"
    );
    // SAFETY: in the partition, whole frames, and by contract nobody's.
    unsafe { arch::clear(direct_map_ptr(address), bytes) };
}

/// Copies a small page. Panics outside the partition. Who writes `from` meanwhile gets an old or a
/// new word copied, as with any copy of memory in use.
///
/// # Safety
///
/// The kernel has no reference to anything in `to`.
pub unsafe fn copy(from: PhysAddr, to: PhysAddr) {
    assert!(
        map().contains(from.as_u64(), PAGE_BYTES) && map().contains(to.as_u64(), PAGE_BYTES),
        "{from:?} or {to:?} is not the partition's"
    );
    // SAFETY: both in the partition, whole words, and by contract `to` is nobody's.
    unsafe {
        core::arch::asm!(
            "rep movsq",
            inout("rcx") PAGE_BYTES / 8 => _,
            inout("rdi") direct_map_ptr(to) => _,
            inout("rsi") direct_map_ptr(from) => _,
            options(nostack, preserves_flags),
        );
    }
}

/// What memory the partition is.
pub fn map() -> &'static MemoryMap<'static> {
    MAP.get().expect("memory is used before it is known")
}
