// SPDX-License-Identifier: GPL-2.0
//! The frames of the partition, and the kernel's view of them through the direct map.
//!
//! Every frame may be viewed as atomic words: the kernel's page tables are read by Linux at any
//! time, and what user space does to its frames at the same moment is not in our hands.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bootloader_api::info::MemoryRegionKind;
use bootloader_api::BootInfo;
pub use cokernel_logic::frames::{FrameStats, Giant, Place, BLOCKS_PER_GIANT};
use cokernel_logic::frames::{Frames, FRAMES_PER_BLOCK, MAX_NODES};
use ihk_ikc::boot::{BootParams, MemoryRange};
use ihk_ikc::control::NodeCounters;
use ihk_ikc::layout::{DIRECT_MAP_BASE, LARGE_PAGE_BYTES, PAGE_BYTES};
use spin::Once;
use x86_64::PhysAddr;

use crate::arch;
use crate::ikc;
use crate::mm::{cleaner, emergency, files, share, spare};
use crate::sync::SpinLock;

/// Bytes of a GiB.
pub const GIANT_BYTES: u64 = BLOCKS_PER_GIANT as u64 * LARGE_PAGE_BYTES;
/// Words of a small page.
pub const PAGE_WORDS: usize = 512;

static RANGES: Once<&'static [MemoryRange]> = Once::new();
/// The first of them, for a quick look.
static FIRST_START: AtomicU64 = AtomicU64::new(0);
/// See [`FIRST_START`].
static FIRST_BYTES: AtomicU64 = AtomicU64::new(0);
static EXPOSED: Once<&'static [AtomicU64]> = Once::new();
/// Innermost lock: nothing is taken under it.
static FRAMES: Once<SpinLock<Frames>> = Once::new();

/// Frames managed and free ones, for looks without the lock. What CPUs keep is not free.
static TOTAL: AtomicU64 = AtomicU64::new(0);
/// See [`TOTAL`].
static FREE: AtomicU64 = AtomicU64::new(0);
/// See [`giant_count`].
static GIANTS: AtomicUsize = AtomicUsize::new(0);
/// Nodes that may have frames to clear, for a look without the lock: bit n = node n.
static TO_CLEAN: AtomicU64 = AtomicU64::new(0);
/// See [`set_aside`]. Changed under the lock of the frames.
static SET_ASIDE: AtomicU64 = AtomicU64::new(0);
/// See [`may_be_reclaimed`]. Changed under the lock of the frames.
static RECLAIMABLE: AtomicU64 = AtomicU64::new(0);
/// The same by node.
static RECLAIMABLE_AT: [AtomicU64; MAX_NODES as usize] =
    [const { AtomicU64::new(0) }; MAX_NODES as usize];

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

/// How many 2 MiB blocks the partition has.
pub fn block_count() -> u32 {
    u32::try_from(frames_of(ranges()) / u64::from(FRAMES_PER_BLOCK)).expect("partition of 8 EiB")
}

/// Gives the usable regions of `info` to the frame allocator. The boot CPU, once.
pub fn init_frames(info: &BootInfo) {
    let mut frames = Frames::new(block_count());
    for range in ranges() {
        let first = range.first_frame / FRAMES_PER_BLOCK;
        let count = range.region.bytes / LARGE_PAGE_BYTES;
        (first..)
            .take(count as usize)
            .for_each(|block| frames.set_node(block, range.node));
        if arch::has_giant_pages() {
            giants_of(range).for_each(|block| frames.set_giant(block));
        }
    }
    GIANTS.store(frames.giant_count(), Ordering::Relaxed);
    let usable = info
        .memory_regions
        .iter()
        .filter(|region| region.kind == MemoryRegionKind::Usable);
    for region in usable {
        let first =
            frame_number(PhysAddr::new(region.start)).expect("usable region outside the partition");
        let count = (region.end - region.start) / PAGE_BYTES;
        let count = u32::try_from(count).expect("usable region too large");
        frames.add(first, count).expect("usable regions overlap");
    }
    FRAMES.call_once(|| SpinLock::new(frames));
    with(|_| ());
    spare::init(arch::cpu_count());
    emergency::init();
    share::init();
    files::init();
}

/// Whether [`init_frames`] is done.
pub fn is_ready() -> bool {
    FRAMES.is_completed()
}

/// The first blocks of the aligned GiBs in `range`.
fn giants_of(range: &MemoryRange) -> impl Iterator<Item = u32> {
    let region = range.region;
    let first = region.phys.next_multiple_of(GIANT_BYTES) - region.phys;
    let count = region.bytes.saturating_sub(first) / GIANT_BYTES;
    let block = range.first_frame / FRAMES_PER_BLOCK + (first / LARGE_PAGE_BYTES) as u32;
    (block..)
        .step_by(BLOCKS_PER_GIANT as usize)
        .take(count as usize)
}

/// A 4 KiB frame with undefined contents, from this CPU's node if it has one.
pub fn alloc_small() -> Option<PhysAddr> {
    alloc_run_at(1, here())
}

/// `count` (at most 512) adjacent frames with undefined contents, from this CPU's node if it has
/// such.
pub fn alloc_run(count: u32) -> Option<PhysAddr> {
    alloc_run_at(count, here())
}

/// `count` (at most 512) adjacent frames with undefined contents, from `place`.
pub fn alloc_run_at(count: u32, place: Place) -> Option<PhysAddr> {
    if count == 1 && place == here() {
        if let Some(frame) = spare::take(|add| refill(place, add)) {
            return Some(frame_address(frame));
        }
    }
    with_all(|frames| frames.alloc_run(count, place)).map(frame_address)
}

/// `count` (at most 512) adjacent frames from `place`, filled with zeros: such as were cleared
/// before, if there are any.
pub fn alloc_zeroed_run_at(count: u32, place: Place) -> Option<PhysAddr> {
    let run = with_all(|frames| frames.alloc_rather_zero(count, place))?;
    let address = frame_address(run.first);
    if !run.is_zero {
        zero(address, u64::from(count) * PAGE_BYTES);
    }
    Some(address)
}

/// An aligned GiB from `place`, with undefined contents but for what it says.
pub fn alloc_giant_at(place: Place) -> Option<(PhysAddr, Giant)> {
    if giant_count() == 0 {
        return None;
    }
    let giant = with_all(|frames| frames.alloc_giant(place))?;
    Some((frame_address(giant.first), giant))
}

/// How many aligned GiBs the partition has, free or not; 0 if the CPU has no pages of that size.
pub fn giant_count() -> usize {
    GIANTS.load(Ordering::Relaxed)
}

/// Tries `alloc`, and once more with everything that is free within its reach.
fn with_all<R>(mut alloc: impl FnMut(&mut Frames) -> Option<R>) -> Option<R> {
    with(&mut alloc).or_else(|| {
        // What CPUs keep may be what is missing, or what one of them is just clearing.
        spare::drain_all(free_each);
        cleaner::while_nobody_cleans(|| with(&mut alloc))
    })
}

/// A node that may have free frames to clear; this CPU's if it is one.
pub(super) fn node_to_clean() -> Option<u32> {
    let nodes = TO_CLEAN.load(Ordering::Relaxed);
    let own = arch::cpu_node();
    if nodes & 1_u64.checked_shl(own).unwrap_or(0) != 0 {
        return Some(own);
    }
    (nodes != 0).then(|| nodes.trailing_zeros())
}

/// Clears at most `most` free frames of `node`; whether there were any to clear. One CPU at a time.
pub(super) fn clear_free_frames(node: u32, most: u32) -> bool {
    let Some(run) = with(|frames| frames.begin_cleaning(node, most)) else {
        return false;
    };
    zero(frame_address(run.first), u64::from(run.count) * PAGE_BYTES);
    with(|frames| frames.end_cleaning(run));
    true
}

fn refill(place: Place, add: &mut dyn FnMut(u32)) {
    with(|frames| {
        (0..spare::BATCH)
            .map_while(|_| frames.alloc_small(place))
            .for_each(add);
    });
}

fn free_each(numbers: &[u32]) {
    with(|frames| {
        for &frame in numbers {
            frames.free_small(frame).expect("frame freed twice");
        }
    });
}

/// Gives back what this CPU keeps for itself. It is about to idle.
pub fn drain_this_cpu() {
    spare::drain_this_cpu(free_each);
}

/// This CPU's node first, then any.
pub fn here() -> Place {
    Place::near(arch::cpu_node())
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

/// Takes a 4 KiB frame back. Panics if it is free already: memory would be given out twice.
pub fn free_small(address: PhysAddr) {
    free_run(address, 1);
}

/// Takes 2 MiB back. Panics like [`free_small`].
pub fn free_large(address: PhysAddr) {
    free_run(address, FRAMES_PER_BLOCK);
}

/// Takes 1 GiB back. Panics like [`free_small`].
pub fn free_giant(address: PhysAddr) {
    let blocks = (0..GIANT_BYTES).step_by(LARGE_PAGE_BYTES as usize);
    blocks.for_each(|offset| free_large(address + offset));
}

/// Takes `count` adjacent frames of one block back. Panics like [`free_small`].
pub fn free_run(address: PhysAddr, count: u32) {
    let frame = frame_number(address).expect("freed frame is not the partition's");
    let is_near = count == 1 && node_of(address) == Some(arch::cpu_node());
    if is_near && spare::put(frame, free_each) {
        return;
    }
    with(|frames| frames.free_run(frame, count)).expect("frame freed twice");
}

/// `count` frames are kept for the next thread, or list pages that may be reclaimed: the usage counters
/// call them free, because nothing uses them, though programs cannot have them, and no node's.
pub fn set_aside(count: u64) {
    if count != 0 {
        with(|_| SET_ASIDE.fetch_add(count, Ordering::Relaxed));
    }
}

/// `count` frames that were set aside are used again.
pub fn take_up(count: u64) {
    if count != 0 {
        with(|_| SET_ASIDE.fetch_sub(count, Ordering::Relaxed));
    }
}

/// `count` frames of the block of `frame` are in use only because somebody may want their content
/// again: the usage counters call them free.
pub fn may_be_reclaimed(frame: u32, count: u64) {
    change_reclaimable(frame, count, AtomicU64::fetch_add);
}

/// `count` frames of the block of `frame` may no longer be reclaimed.
pub fn used_again(frame: u32, count: u64) {
    change_reclaimable(frame, count, AtomicU64::fetch_sub);
}

fn change_reclaimable(frame: u32, count: u64, change: fn(&AtomicU64, u64, Ordering) -> u64) {
    if count != 0 {
        with(|frames| {
            let node = frames.note_change(frame);
            change(&RECLAIMABLE_AT[node as usize], count, Ordering::Relaxed);
            change(&RECLAIMABLE, count, Ordering::Relaxed);
        });
    }
}

/// How many frames [`may_be_reclaimed`].
pub fn reclaimable() -> u64 {
    RECLAIMABLE.load(Ordering::Relaxed)
}

/// How much memory there is.
pub fn stats() -> FrameStats {
    FrameStats {
        total: TOTAL.load(Ordering::Relaxed),
        free: FREE.load(Ordering::Relaxed),
    }
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

/// Where the kernel sees `address`; meaningful only inside the partition.
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

/// Runs `body` on the frames and publishes the counters.
fn with<R>(body: impl FnOnce(&mut Frames) -> R) -> R {
    let frames = FRAMES.get().expect("frames are used before they are there");
    let mut frames = frames.lock();
    let result = body(&mut frames);
    TO_CLEAN.store(frames.to_clean(), Ordering::Relaxed);
    publish(&mut frames);
    result
}

/// Called under the lock of the frames, so that the last word is the latest.
fn publish(frames: &mut Frames) {
    let stats = frames.stats();
    TOTAL.store(stats.total, Ordering::Relaxed);
    FREE.store(stats.free, Ordering::Relaxed);
    let Some(control) = ikc::try_control() else {
        return;
    };
    let set_aside = SET_ASIDE.load(Ordering::Relaxed);
    let usage = &control.usage;
    usage.frames_total.store(stats.total, Ordering::Relaxed);
    let free = stats.free + set_aside + reclaimable();
    usage.frames_free.store(free, Ordering::Relaxed);
    control.frames_set_aside.store(set_aside, Ordering::Relaxed);
    let mut changed = frames.take_changed();
    while changed != 0 {
        let node = changed.trailing_zeros();
        changed &= changed - 1;
        publish_node(&control.nodes[node as usize], frames, node);
    }
}

fn publish_node(counters: &NodeCounters, frames: &Frames, node: u32) {
    let (stats, blocks) = frames.node_stats(node);
    let free = stats.free + RECLAIMABLE_AT[node as usize].load(Ordering::Relaxed);
    counters.frames_total.store(stats.total, Ordering::Relaxed);
    counters.frames_free.store(free, Ordering::Relaxed);
    counters.blocks_free.store(blocks, Ordering::Relaxed);
}

fn ranges() -> &'static [MemoryRange] {
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

/// Each node has its counters.
const _: () = assert!(MAX_NODES as usize == ihk_ikc::layout::MAX_NODES);
/// Large pages and blocks are the same size.
const _: () = assert!(FRAMES_PER_BLOCK as u64 * PAGE_BYTES == LARGE_PAGE_BYTES);
