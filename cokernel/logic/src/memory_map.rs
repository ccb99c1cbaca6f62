// SPDX-License-Identifier: GPL-2.0
//! The memory of a partition: ranges of addresses, ascending and disjoint, and the numbers of the frames
//! in them, which count on from range to range.

use ihk_ikc::boot::MemoryRange;
use ihk_ikc::layout::{Region, LARGE_PAGE_BYTES, PAGE_BYTES};

use crate::addr::to_usize;
use crate::frames::{BLOCKS_PER_GIANT, FRAMES_PER_BLOCK, MAX_NODES};

/// Bytes of a GiB.
pub const GIANT_BYTES: u64 = BLOCKS_PER_GIANT as u64 * LARGE_PAGE_BYTES;

/// Large pages and blocks are the same size.
const _: () = assert!(FRAMES_PER_BLOCK as u64 * PAGE_BYTES == LARGE_PAGE_BYTES);

/// Entries of an [`Index`].
const STEPS: usize = 1024;

/// Which of some ascending ranges of numbers to look at for one number: a division instead of a search.
struct Index {
    start: u64,
    shift: u32,
    /// For each step of `1 << shift` numbers from `start` on: the first range that ends behind its start.
    firsts: [u16; STEPS],
}

impl Index {
    /// Of ranges that begin and end so.
    fn new(ranges: impl Iterator<Item = (u64, u64)> + Clone) -> Self {
        let start = ranges.clone().next().map_or(0, |range| range.0);
        let length = ranges.clone().last().map_or(0, |range| range.1 - start);
        let steps = (length / STEPS as u64).checked_ilog2();
        let shift = steps.map_or(0, |steps| steps + 1);
        let mut ranges = (0..).zip(ranges).peekable();
        let firsts = core::array::from_fn(|step| {
            let from = start + ((step as u64) << shift);
            while ranges.next_if(|(_, range)| range.1 <= from).is_some() {}
            ranges.peek().map_or(u16::MAX, |(number, _)| *number)
        });
        Self {
            start,
            shift,
            firsts,
        }
    }

    /// The first range that may have `number` in it, or one behind the last.
    #[inline]
    fn first(&self, number: u64) -> usize {
        let step = to_usize(number.wrapping_sub(self.start) >> self.shift);
        self.firsts
            .get(step)
            .map_or(usize::MAX, |&first| first.into())
    }
}

/// The memory of a partition.
pub struct MemoryMap<'a> {
    /// Its ranges, ascending.
    pub ranges: &'a [MemoryRange],
    by_address: Index,
    by_frame: Index,
}

impl<'a> MemoryMap<'a> {
    /// The memory that `ranges` are.
    #[must_use]
    pub fn new(ranges: &'a [MemoryRange]) -> Self {
        let addresses = |range: &MemoryRange| (range.region.phys, end(range));
        let frames = |range: &MemoryRange| (range.first_frame.into(), end_frame(range));
        Self {
            ranges,
            by_address: Index::new(ranges.iter().map(addresses)),
            by_frame: Index::new(ranges.iter().map(frames)),
        }
    }

    /// The number of frames.
    #[must_use]
    pub fn frame_count(&self) -> u64 {
        self.ranges.last().map_or(0, end_frame)
    }

    /// The range that contains `address`.
    #[inline]
    #[must_use]
    pub fn range_at(&self, address: u64) -> Option<&MemoryRange> {
        let mut rest = self.ranges.get(self.by_address.first(address)..)?.iter();
        let range = rest.find(|range| address < end(range))?;
        (range.region.phys <= address).then_some(range)
    }

    /// Whether all of `[address, address + bytes)` lies in one range.
    #[inline]
    #[must_use]
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        let range = self.range_at(address);
        range.is_some_and(|range| bytes <= end(range) - address)
    }

    /// The number of the frame that contains `address`.
    #[inline]
    #[must_use]
    pub fn frame_number(&self, address: u64) -> Option<u32> {
        let range = self.range_at(address)?;
        let offset = (address - range.region.phys) / PAGE_BYTES;
        u32::try_from(u64::from(range.first_frame) + offset).ok()
    }

    /// The address of frame `frame`, if there is one.
    #[inline]
    #[must_use]
    pub fn frame_address(&self, frame: u32) -> Option<u64> {
        let mut rest = self.ranges.get(self.by_frame.first(frame.into())..)?.iter();
        let range = rest.find(|range| u64::from(frame) < end_frame(range))?;
        let offset = u64::from(frame.checked_sub(range.first_frame)?) * PAGE_BYTES;
        Some(range.region.phys + offset)
    }

    /// The nodes that have memory: bit n = node n.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        let bit = |range: &MemoryRange| 1_u64 << range.node.min(MAX_NODES - 1);
        self.ranges.iter().map(bit).fold(0, |all, bit| all | bit)
    }
}

/// One past the last address of `range`.
#[inline]
const fn end(range: &MemoryRange) -> u64 {
    range.region.phys + range.region.bytes
}

/// One past the number of the last frame of `range`.
#[inline]
fn end_frame(range: &MemoryRange) -> u64 {
    u64::from(range.first_frame) + range.region.bytes / PAGE_BYTES
}

/// The first blocks of the aligned GiBs in `range`.
pub fn giants_of(range: &MemoryRange) -> impl Iterator<Item = u32> {
    let region = range.region;
    let first = region.phys.next_multiple_of(GIANT_BYTES) - region.phys;
    let count = region.bytes.saturating_sub(first) / GIANT_BYTES;
    let first_block = range.first_frame / FRAMES_PER_BLOCK;
    let skipped = u32::try_from(first / LARGE_PAGE_BYTES).unwrap_or(u32::MAX);
    (first_block.saturating_add(skipped)..)
        .step_by(BLOCKS_PER_GIANT as usize)
        .take(usize::try_from(count).unwrap_or(usize::MAX))
}

/// A part of a memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Nothing lies in it.
    pub is_usable: bool,
}

/// `range` without `taken` (which begins in it, or lies elsewhere), and `taken` up to the end of its last
/// page; parts may be empty.
#[must_use]
pub fn cut_out(range: Region, taken: Region) -> [Part; 3] {
    let part = |start, end, is_usable| Part {
        start,
        end,
        is_usable,
    };
    let (start, end) = (range.phys, range.phys + range.bytes);
    if !(start..end).contains(&taken.phys) {
        return [
            part(start, end, true),
            part(end, end, true),
            part(end, end, true),
        ];
    }
    let taken_end = (taken.phys + taken.bytes)
        .next_multiple_of(PAGE_BYTES)
        .min(end);
    [
        part(start, taken.phys, true),
        part(taken.phys, taken_end, false),
        part(taken_end, end, true),
    ]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn range(phys: u64, bytes: u64, node: u32, first_frame: u32) -> MemoryRange {
        MemoryRange {
            region: Region { phys, bytes },
            node,
            first_frame,
        }
    }

    /// 4 MiB at 16 MiB, 2 MiB at 32 MiB, 6 MiB right behind.
    fn map() -> [MemoryRange; 3] {
        [
            range(16 * MIB, 4 * MIB, 0, 0),
            range(32 * MIB, 2 * MIB, 1, 1024),
            range(34 * MIB, 6 * MIB, 0, 1536),
        ]
    }

    #[test]
    fn frames_are_numbered_on_from_range_to_range() {
        let ranges = map();
        let map = MemoryMap::new(&ranges);
        assert_eq!(map.frame_number(16 * MIB), Some(0));
        assert_eq!(map.frame_number(20 * MIB - 1), Some(1023));
        assert_eq!(map.frame_number(32 * MIB), Some(1024));
        assert_eq!(map.frame_number(40 * MIB - 1), Some(3071));
        assert_eq!(map.frame_count(), 3072);
    }

    #[test]
    fn what_lies_between_before_and_behind_has_no_number() {
        let ranges = map();
        let map = MemoryMap::new(&ranges);
        for address in [0, 16 * MIB - 1, 20 * MIB, 32 * MIB - 1, 40 * MIB, u64::MAX] {
            assert_eq!(map.frame_number(address), None, "{address:#x}");
        }
        assert_eq!(MemoryMap::new(&[]).frame_number(0), None);
        assert_eq!(map.frame_address(3072), None);
        assert_eq!(MemoryMap::new(&[]).frame_address(0), None);
    }

    #[test]
    fn a_stretch_is_contained_if_one_range_has_all_of_it() {
        let ranges = map();
        let map = MemoryMap::new(&ranges);
        assert!(map.contains(16 * MIB, 4 * MIB));
        assert!(map.contains(20 * MIB - 1, 1));
        assert!(!map.contains(20 * MIB - 1, 2));
        assert!(
            !map.contains(33 * MIB, 2 * MIB),
            "two ranges, though adjacent"
        );
        assert!(!map.contains(33 * MIB, u64::MAX), "nothing wraps");
    }

    #[test]
    fn a_node_that_cannot_be_told_apart_counts_as_the_last_one() {
        assert_eq!(MemoryMap::new(&map()).nodes(), 0b11);
        assert_eq!(MemoryMap::new(&[range(0, MIB, 1000, 0)]).nodes(), 1 << 63);
        assert_eq!(MemoryMap::new(&[]).nodes(), 0);
    }

    #[test]
    fn aligned_gibs_are_found_and_parts_of_them_are_not() {
        let of = |phys: u64, bytes: u64| -> Vec<u32> {
            giants_of(&range(phys, bytes, 0, 5 * FRAMES_PER_BLOCK)).collect()
        };
        assert_eq!(of(GIANT_BYTES, GIANT_BYTES), [5]);
        assert_eq!(of(GIANT_BYTES, 2 * GIANT_BYTES), [5, 5 + 512]);
        assert_eq!(of(GIANT_BYTES - 2 * MIB, 2 * GIANT_BYTES), [6]);
        assert_eq!(of(GIANT_BYTES - 2 * MIB, GIANT_BYTES), []);
        assert_eq!(
            of(GIANT_BYTES + 2 * MIB, 2 * MIB),
            [],
            "it ends before the next one"
        );
    }

    #[test]
    fn the_boot_area_is_cut_out_of_the_range_it_begins() {
        let taken = Region {
            phys: 16 * MIB,
            bytes: MIB + 1,
        };
        let [before, cut, behind] = cut_out(map()[0].region, taken);
        assert!(before.start == before.end, "nothing lies before it");
        let end = 17 * MIB + PAGE_BYTES;
        assert_eq!((cut.start, cut.end, cut.is_usable), (16 * MIB, end, false));
        assert_eq!((behind.start, behind.end), (end, 20 * MIB));
        assert!(behind.is_usable);
    }

    #[test]
    fn a_range_without_the_boot_area_stays_whole() {
        let taken = Region {
            phys: 16 * MIB,
            bytes: MIB,
        };
        let [whole, rest @ ..] = cut_out(map()[1].region, taken);
        assert_eq!((whole.start, whole.end), (32 * MIB, 34 * MIB));
        assert!(whole.is_usable && rest.iter().all(|part| part.start == part.end));
    }

    /// Ranges of whole blocks with holes of whole blocks between them, some far larger than all ranges.
    fn any_map() -> impl Strategy<Value = Vec<MemoryRange>> {
        let hole = prop_oneof![3 => 0u64..4, 1 => Just(1 << 19)];
        proptest::collection::vec((hole, 1u64..5), 1..8).prop_map(|parts| {
            let (mut at, mut frame) = (LARGE_PAGE_BYTES, 0);
            let place = |(hole, blocks): (u64, u64)| {
                let bytes = blocks * LARGE_PAGE_BYTES;
                let new = range(at + hole * LARGE_PAGE_BYTES, bytes, 0, frame);
                at = new.region.phys + bytes;
                frame += u32::try_from(bytes / PAGE_BYTES).expect("few");
                new
            };
            parts.into_iter().map(place).collect()
        })
    }

    proptest! {
        /// Every frame has one address, every address of a range one frame, and the two agree.
        #[test]
        fn numbers_and_addresses_are_the_same_order(ranges in any_map(), inside in 0..PAGE_BYTES) {
            let map = MemoryMap::new(&ranges);
            let count = u32::try_from(map.frame_count()).expect("few");
            let mut last = 0;
            for frame in (0..count).step_by(31) {
                let address = map.frame_address(frame).expect("there is such a frame");
                prop_assert!(address > last && address % PAGE_BYTES == 0);
                prop_assert_eq!(map.frame_number(address + inside), Some(frame));
                prop_assert!(map.contains(address, PAGE_BYTES));
                last = address;
            }
            prop_assert_eq!(map.frame_address(count), None);
        }

        /// The parts are the range, in order and without a gap, and only what was taken is not usable.
        #[test]
        fn parts_are_the_whole_range(
            (start, bytes) in (0u64..64, 1u64..64),
            (taken, taken_bytes) in (0u64..128, 0u64..64),
        ) {
            let region = |phys, bytes| Region { phys: phys * PAGE_BYTES, bytes: bytes * PAGE_BYTES };
            let (range, taken) = (region(start, bytes), region(taken, taken_bytes));
            let parts = cut_out(range, taken);
            prop_assert_eq!(parts[0].start, range.phys);
            prop_assert_eq!(parts[2].end, range.phys + range.bytes);
            for pair in parts.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            for part in parts {
                for page in (part.start..part.end).step_by(4096) {
                    let is_taken = (taken.phys..taken.phys + taken.bytes).contains(&page);
                    // The taken part begins in the range, or does not concern it.
                    prop_assert_eq!(part.is_usable, !is_taken || taken.phys < range.phys);
                }
            }
        }
    }
}
