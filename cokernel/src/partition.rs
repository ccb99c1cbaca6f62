// SPDX-License-Identifier: GPL-2.0
//! The memory of the partition: its ranges, the numbers of its frames, and the kernel's view of them
//! through the direct map.
//!
//! Every frame may be viewed as atomic words: the kernel's page tables are read by Linux at any
//! time, and what user space does to its frames at the same moment is not in our hands.

use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::frames::{BLOCKS_PER_GIANT, FRAMES_PER_BLOCK, MAX_NODES};
use ihk_ikc::boot::{BootParams, MemoryRange};
use ihk_ikc::layout::{DIRECT_MAP_BASE, LARGE_PAGE_BYTES, PAGE_BYTES};
use spin::Once;
use x86_64::PhysAddr;

use crate::arch;

/// Bytes of a GiB.
pub const GIANT_BYTES: u64 = BLOCKS_PER_GIANT as u64 * LARGE_PAGE_BYTES;
/// Words of a small page.
pub const PAGE_WORDS: usize = 512;

static RANGES: Once<&'static [MemoryRange]> = Once::new();
/// The start of the first of [`RANGES`], for a quick look.
static FIRST_START: AtomicU64 = AtomicU64::new(0);
/// The length of the first of [`RANGES`].
static FIRST_BYTES: AtomicU64 = AtomicU64::new(0);
static EXPOSED: Once<&'static [AtomicU64]> = Once::new();

/// Learns where the partition lies; the direct map is usable from now on. The boot CPU, once.
pub fn init_ranges(params: &'static BootParams) {
    let count = (params.memory_count as usize).min(params.memory.len());
    let ranges = RANGES.call_once(|| &params.memory[..count]);
    if let Some(first) = ranges.first() {
        FIRST_START.store(first.region.phys, Ordering::Relaxed);
        FIRST_BYTES.store(first.region.bytes, Ordering::Relaxed);
    }
    let words = ihk_ikc::exposed::words_for(frames_of(ranges));
    let fits = contains(params.exposed.phys, words * 8) && params.exposed.bytes >= words * 8;
    assert!(
        fits && params.exposed.phys % 8 == 0,
        "exposed bitmap outside the partition"
    );
    let first = direct_map_ptr(PhysAddr::new(params.exposed.phys)).cast::<AtomicU64>();
    // SAFETY: just checked to lie in the partition; ihk.ko reserved it for the bitmap for as long
    // as the instance lives, and both sides use it as atomics only.
    EXPOSED.call_once(|| unsafe { core::slice::from_raw_parts(first, words as usize) });
}

/// The number of 2 MiB blocks in the partition.
pub fn block_count() -> u32 {
    u32::try_from(frames_of(ranges()) / u64::from(FRAMES_PER_BLOCK)).expect("partition of 8 EiB")
}

/// The first blocks of the aligned GiBs in `range`.
pub fn giants_of(range: &MemoryRange) -> impl Iterator<Item = u32> {
    let region = range.region;
    let first = region.phys.next_multiple_of(GIANT_BYTES) - region.phys;
    let count = region.bytes.saturating_sub(first) / GIANT_BYTES;
    let block = range.first_frame / FRAMES_PER_BLOCK + (first / LARGE_PAGE_BYTES) as u32;
    (block..)
        .step_by(BLOCKS_PER_GIANT as usize)
        .take(count as usize)
}

/// The node of the partition's memory at `address`.
pub fn node_of(address: PhysAddr) -> Option<u32> {
    range_at(address.as_u64()).map(|range| range.node)
}

/// The nodes that have memory of the partition: bit n = node n.
pub fn nodes() -> u64 {
    let bit = |range: &MemoryRange| 1_u64 << range.node.min(MAX_NODES - 1);
    ranges().iter().map(bit).fold(0, |all, bit| all | bit)
}

/// Partition-wide number of the frame that contains `address`; `None` if it is not ours.
pub fn frame_number(address: PhysAddr) -> Option<u32> {
    let address = address.as_u64();
    let range = range_at(address)?;
    let offset = (address - range.region.phys) / PAGE_BYTES;
    u32::try_from(u64::from(range.first_frame) + offset).ok()
}

/// Frames from `frame` on that are certainly adjacent in memory: to the end of its block.
pub const fn in_block(frame: u32) -> u32 {
    FRAMES_PER_BLOCK - frame % FRAMES_PER_BLOCK
}

/// Address of frame `frame`. Panics if there is no such frame.
pub fn frame_address(frame: u32) -> PhysAddr {
    let after = ranges().partition_point(|range| range.first_frame <= frame);
    let range = &ranges()[after - 1];
    let offset = u64::from(frame - range.first_frame) * PAGE_BYTES;
    assert!(offset < range.region.bytes, "no such frame");
    PhysAddr::new(range.region.phys + offset)
}

/// The bitmap of frames Linux may have mapped; see `ihk_ikc::exposed`.
pub fn exposed_bits() -> &'static [AtomicU64] {
    EXPOSED.get().copied().unwrap_or(&[])
}

/// Whether all of `[address, address + bytes)` lies in one run of the partition.
pub fn contains(address: u64, bytes: u64) -> bool {
    // Most partitions are one run of memory, and whoever follows page tables asks all the time.
    let offset = address.wrapping_sub(FIRST_START.load(Ordering::Relaxed));
    let length = FIRST_BYTES.load(Ordering::Relaxed);
    if offset < length && bytes <= length - offset {
        return true;
    }
    range_at(address)
        .is_some_and(|range| bytes <= range.region.bytes - (address - range.region.phys))
}

/// The kernel's pointer to `address`; meaningful only inside the partition.
pub fn direct_map_ptr(address: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((DIRECT_MAP_BASE + address.as_u64()) as usize)
}

/// The small page that contains `address`, as atomic words. Panics outside the partition.
pub fn page(address: PhysAddr) -> &'static [AtomicU64; PAGE_WORDS] {
    let address = address.align_down(PAGE_BYTES);
    assert!(
        contains(address.as_u64(), PAGE_BYTES),
        "{address:?} is not the partition's"
    );
    // SAFETY: the page lies in the partition, whose direct map stays for the life of the kernel;
    // any bytes are valid atomics, and accesses through them race with nothing but atomics,
    // user space and Linux.
    unsafe { &*direct_map_ptr(address).cast::<[AtomicU64; PAGE_WORDS]>() }
}

/// Fills frames with zeros. Panics outside the partition.
pub fn zero(address: PhysAddr, bytes: u64) {
    assert!(
        contains(address.as_u64(), bytes),
        "{address:?} is not the partition's"
    );
    assert!(
        (address.as_u64() | bytes) % PAGE_BYTES == 0 && bytes > 0,
        "zero() takes whole frames"
    );
    // SAFETY: in the partition, whole frames; the caller owns them, by having allocated them.
    unsafe { arch::clear(direct_map_ptr(address), bytes) };
}

/// Copies a small page. Panics outside the partition. Who writes `from` meanwhile gets an old or a
/// new word copied, as with any copy of memory in use.
pub fn copy(from: PhysAddr, to: PhysAddr) {
    assert!(
        contains(from.as_u64(), PAGE_BYTES) && contains(to.as_u64(), PAGE_BYTES),
        "{from:?} or {to:?} is not the partition's"
    );
    // SAFETY: both in the partition, whole words; the caller owns `to`, by having allocated it.
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

pub fn ranges() -> &'static [MemoryRange] {
    RANGES.get().copied().unwrap_or(&[])
}

fn frames_of(ranges: &[MemoryRange]) -> u64 {
    ranges
        .iter()
        .map(|range| range.region.bytes / PAGE_BYTES)
        .sum()
}

fn range_at(address: u64) -> Option<&'static MemoryRange> {
    let ranges = ranges();
    let after = ranges.partition_point(|range| range.region.phys <= address);
    let range = ranges.get(after.checked_sub(1)?)?;
    (address - range.region.phys < range.region.bytes).then_some(range)
}

/// Large pages and blocks are the same size.
const _: () = assert!(FRAMES_PER_BLOCK as u64 * PAGE_BYTES == LARGE_PAGE_BYTES);
