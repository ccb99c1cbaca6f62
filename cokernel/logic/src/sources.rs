// SPDX-License-Identifier: GPL-2.0
//! Sources of the pages of private file mappings: a file, by the number under which Linux keeps
//! it open, and the address at which its first page lies or would lie. So what a source says of an
//! address stays true when areas are cut or joined.

use alloc::collections::{BTreeMap, BTreeSet};

/// Size of a page.
const PAGE_BYTES: u64 = 4096;

/// See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of the file.
    pub file: u32,
    /// The address of page 0; addresses wrap around.
    pub base: u64,
    /// The content it had when Linux was last asked; 0: Linux is to be asked again.
    pub version: u64,
}

impl Source {
    /// The source that has page `page` of `file` at `address`.
    #[must_use]
    pub const fn new(file: u32, address: u64, page: u64, version: u64) -> Self {
        Self {
            file,
            base: address.wrapping_sub(page.wrapping_mul(PAGE_BYTES)),
            version,
        }
    }

    /// The page of the file that belongs at `address`.
    #[must_use]
    pub const fn page_at(&self, address: u64) -> u64 {
        address.wrapping_sub(self.base) / PAGE_BYTES
    }

    /// The source of what is moved by `distance` (wrapping).
    #[must_use]
    pub const fn moved(&self, distance: u64) -> Self {
        Self {
            base: self.base.wrapping_add(distance),
            ..*self
        }
    }
}

/// The sources of an address space. Areas name them by numbers from 1 on. There may be tens of thousands:
/// trees need no memory in long pieces.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    known: BTreeMap<u16, Source>,
    by_place: BTreeMap<(u32, u64), u16>,
    /// Numbers that were used and are free.
    free: BTreeSet<u16>,
}

impl Sources {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            known: BTreeMap::new(),
            by_place: BTreeMap::new(),
            free: BTreeSet::new(),
        }
    }

    /// The source of number `number`; `None` for 0 and for numbers that are not used.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<Source> {
        self.known.get(&number).copied()
    }

    /// The number of `source`, which counts as the latest that is known of its version. `None`:
    /// there are as many as there may be.
    pub fn add(&mut self, source: Source) -> Option<u16> {
        let place = (source.file, source.base);
        if let Some(&number) = self.by_place.get(&place) {
            self.known.insert(number, source);
            return Some(number);
        }
        let number = match self.free.pop_first() {
            Some(number) => number,
            None => u16::try_from(self.known.len() + 1).ok()?,
        };
        self.known.insert(number, source);
        self.by_place.insert(place, number);
        Some(number)
    }

    /// Notes that source `number` has `version` now.
    pub fn set_version(&mut self, number: u16, version: u64) {
        if let Some(source) = self.known.get_mut(&number) {
            source.version = version;
        }
    }

    /// No area has source `number` any more. The number of its file, if no other source is of it.
    pub fn remove(&mut self, number: u16) -> Option<u32> {
        let Source { file, base, .. } = self.known.remove(&number)?;
        self.by_place.remove(&(file, base));
        self.free.insert(number);
        let mut others = self.by_place.range((file, 0)..=(file, u64::MAX));
        others.next().is_none().then_some(file)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Source, Sources};

    #[test]
    fn pages_continue_wherever_an_area_is_cut() {
        let source = Source::new(1, 0x7000_0000, 3, 9);
        assert_eq!(source.page_at(0x7000_0000), 3);
        assert_eq!(source.page_at(0x7000_5000), 8);
        assert_eq!(source.moved(0x1000).page_at(0x7000_1000), 3);
        let low = Source::new(1, 0x1_0000, 1 << 40, 9);
        assert_eq!(low.page_at(0x1_1000), (1 << 40) + 1);
        let down = low.moved(0x8000_u64.wrapping_neg());
        assert_eq!(down.page_at(0x8000), 1 << 40);
    }

    #[test]
    fn a_place_has_one_number_and_the_latest_edition() {
        let mut sources = Sources::new();
        let first = Source::new(1, 0x5000, 0, 7);
        let number = sources.add(first).unwrap();
        let again = Source {
            version: 8,
            ..first
        };
        assert_eq!(sources.add(again), Some(number));
        assert_eq!(sources.get(number), Some(again));
        assert_ne!(sources.add(first.moved(0x1000)), Some(number));
        assert_eq!(sources.get(0), None);
        assert_eq!(sources.get(100), None);
    }

    #[test]
    fn a_file_is_forgotten_with_its_last_source() {
        let mut sources = Sources::new();
        let source = Source::new(1, 0x5000, 0, 7);
        let one = sources.add(source).unwrap();
        let two = sources.add(source.moved(0x9000)).unwrap();
        let other = sources.add(Source::new(2, 0x5000, 0, 7)).unwrap();
        assert_eq!(sources.remove(one), None);
        assert_eq!(sources.remove(one), None);
        assert_eq!(sources.remove(two), Some(1));
        assert_eq!(sources.remove(other), Some(2));
        assert_eq!(sources.get(two), None);
    }

    #[test]
    fn numbers_end_and_come_back() {
        let mut sources = Sources::new();
        for file in 1..=u32::from(u16::MAX) {
            assert!(sources.add(Source::new(file, 0, 0, 0)).is_some());
        }
        assert_eq!(sources.add(Source::new(1 << 20, 0, 0, 0)), None);
        assert_eq!(sources.remove(77), Some(77));
        assert_eq!(sources.add(Source::new(1 << 20, 0, 0, 0)), Some(77));
    }
}
