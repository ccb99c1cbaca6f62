// SPDX-License-Identifier: GPL-2.0
//! The map of an address space: disjoint page-aligned areas with attributes, ordered by address.
//!
//! Neighbours with equal attributes are one area. No page table and no memory is touched here; the
//! map only says what a program may expect at an address.

mod gap;

use alloc::collections::btree_map::Entry;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use crate::area::{Area, Attributes, Kind, Marks, Protection, Range, Totals};

/// A range was not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap;

/// The areas of one address space.
#[derive(Clone, Debug, Default)]
pub struct AreaMap {
    /// By start address: end and attributes.
    areas: BTreeMap<u64, (u64, Attributes)>,
    totals: Totals,
    searched: Option<gap::Searched>,
    /// Bytes of all areas of a source, by its number, unless there are none.
    sourced: BTreeMap<u16, u64>,
    /// Sources that an area had and perhaps none has any more.
    unsourced: Vec<u16>,
}

impl AreaMap {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            areas: BTreeMap::new(),
            totals: Totals {
                all: 0,
                data: 0,
                locked: 0,
            },
            searched: None,
            sourced: BTreeMap::new(),
            unsourced: Vec::new(),
        }
    }

    /// The bytes that it holds.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Number of areas.
    #[must_use]
    pub fn len(&self) -> usize {
        self.areas.len()
    }

    /// Whether there is no area.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// The area that contains `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Area> {
        let (&start, &(end, attributes)) = self.areas.range(..=address).next_back()?;
        (address < end).then_some(Area {
            range: Range { start, end },
            attributes,
        })
    }

    /// All areas, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Area> + '_ {
        self.areas.iter().map(|(&start, &(end, attributes))| Area {
            range: Range { start, end },
            attributes,
        })
    }

    /// The parts of areas that lie in `range`, ascending, clipped to it.
    #[must_use]
    pub fn parts(&self, range: Range) -> Vec<Area> {
        if range.is_empty() {
            return Vec::new();
        }
        let first = self
            .areas
            .range(..=range.start)
            .next_back()
            .map_or(range.start, |(&start, _)| start);
        self.areas
            .range(first..range.end)
            .map(|(&start, &(end, attributes))| Area {
                range: Range { start, end }.clip(&range),
                attributes,
            })
            .filter(|area| !area.range.is_empty())
            .collect()
    }

    /// The areas that reach beyond `from`, ascending, the first clipped to begin there.
    pub fn parts_from(&self, from: u64) -> impl Iterator<Item = Area> + '_ {
        let first = self
            .areas
            .range(..=from)
            .next_back()
            .map_or(from, |(&start, _)| start);
        self.areas
            .range(first..)
            .map(move |(&start, &(end, attributes))| Area {
                range: Range {
                    start: start.max(from),
                    end,
                },
                attributes,
            })
            .filter(|area| !area.range.is_empty())
    }

    /// Whether no area touches `range`.
    #[must_use]
    pub fn is_free(&self, range: Range) -> bool {
        range.is_empty()
            || self
                .areas
                .range(..range.end)
                .next_back()
                .is_none_or(|(_, &(end, _))| end <= range.start)
    }

    /// Whether every address of `range` lies in an area.
    #[must_use]
    pub fn is_covered(&self, range: Range) -> bool {
        self.covered_until(range) >= range.end
    }

    /// The end of the part of `range` that areas cover without a gap from its start on.
    #[must_use]
    pub fn covered_until(&self, range: Range) -> u64 {
        let mut at = range.start;
        while at < range.end {
            match self.find(at) {
                Some(area) => at = area.range.end,
                None => return at,
            }
        }
        range.end
    }

    /// The first area that begins above `address`.
    #[must_use]
    pub fn next_above(&self, address: u64) -> Option<Area> {
        let (&start, &(end, attributes)) = self.areas.range(address.checked_add(1)?..).next()?;
        Some(Area {
            range: Range { start, end },
            attributes,
        })
    }

    /// The last area that begins below `address`.
    #[must_use]
    pub fn next_below(&self, address: u64) -> Option<Area> {
        let (&start, &(end, attributes)) = self.areas.range(..address).next_back()?;
        Some(Area {
            range: Range { start, end },
            attributes,
        })
    }

    /// Bytes of `range` that lie in areas.
    #[must_use]
    pub fn bytes_in(&self, range: Range) -> u64 {
        self.parts(range)
            .iter()
            .map(|area| area.range.bytes())
            .sum()
    }

    /// Adds an area and merges it with equal neighbours.
    ///
    /// # Errors
    ///
    /// [`Overlap`] if `range` is not free; nothing was changed.
    pub fn insert(&mut self, range: Range, attributes: Attributes) -> Result<(), Overlap> {
        if !self.is_free(range) {
            return Err(Overlap);
        }
        if !range.is_empty() {
            self.areas.insert(range.start, (range.end, attributes));
            self.count_in(range.bytes(), &attributes);
            self.merge_at(range.start);
            self.merge_at(range.end);
        }
        Ok(())
    }

    /// Removes everything in `range`; returns what was there, ascending.
    pub fn remove(&mut self, range: Range) -> Vec<Area> {
        if range.is_empty() {
            return Vec::new();
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let removed = self.parts(range);
        self.widen_search(range);
        for area in &removed {
            self.areas.remove(&area.range.start);
            self.count_out(area.range.bytes(), &area.attributes);
        }
        removed
    }

    /// Changes the attributes of everything in `range`; returns what was there before.
    pub fn update(&mut self, range: Range, change: impl Fn(Attributes) -> Attributes) -> Vec<Area> {
        if range.is_empty() {
            return Vec::new();
        }
        self.split_at(range.start);
        self.split_at(range.end);
        let before = self.parts(range);
        for area in &before {
            if let Some((_, attributes)) = self.areas.get_mut(&area.range.start) {
                *attributes = change(*attributes);
                let changed = *attributes;
                self.count_in(area.range.bytes(), &changed);
                self.count_out(area.range.bytes(), &area.attributes);
            }
        }
        for area in &before {
            self.merge_at(area.range.start);
        }
        self.merge_at(range.end);
        before
    }

    /// The numbers of sources that no area has any more since the last call.
    pub fn take_unsourced(&mut self) -> Vec<u16> {
        let mut numbers = core::mem::take(&mut self.unsourced);
        numbers.retain(|number| !self.sourced.contains_key(number));
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn count_in(&mut self, bytes: u64, what: &Attributes) {
        self.totals.add(bytes, what);
        if what.source != 0 {
            *self.sourced.entry(what.source).or_insert(0) += bytes;
        }
    }

    fn count_out(&mut self, bytes: u64, what: &Attributes) {
        self.totals.subtract(bytes, what);
        if what.source == 0 {
            return;
        }
        if let Entry::Occupied(mut left) = self.sourced.entry(what.source) {
            *left.get_mut() -= bytes;
            if *left.get() == 0 {
                left.remove();
                self.unsourced.push(what.source);
            }
        }
    }

    /// Cuts the area that contains `address` in its middle into two.
    fn split_at(&mut self, address: u64) {
        let Some(area) = self.find(address) else {
            return;
        };
        if area.range.start == address {
            return;
        }
        self.areas
            .insert(area.range.start, (address, area.attributes));
        self.areas
            .insert(address, (area.range.end, area.attributes));
    }

    /// Joins the area that starts at `address` with its lower neighbour if they are equal.
    fn merge_at(&mut self, address: u64) {
        let Some(&(end, attributes)) = self.areas.get(&address) else {
            return;
        };
        let Some((&below, &(below_end, below_attributes))) =
            self.areas.range(..address).next_back()
        else {
            return;
        };
        if below_end == address && below_attributes == attributes {
            self.areas.remove(&address);
            self.areas.insert(below, (end, attributes));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn attributes(n: u8) -> Attributes {
        let protection = Protection {
            read: n & 1 != 0,
            write: n & 2 != 0,
            exec: false,
            key: n >> 4,
        };
        Attributes {
            protection,
            kind: Kind::Anonymous,
            on_demand: false,
            locked: n & 1 != 0,
            shared: false,
            small_pages: false,
            grows_down: false,
            omitted_by_fork: false,
            marks: Marks::NONE,
            policy: 0,
            source: u16::from(n & 1),
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u64, u8),
        Remove(u64, u64),
        Update(u64, u64, u8),
        Gap(u64, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..64u64, 0..16u64, 0..4u8).prop_map(|(s, n, a)| Step::Insert(s, n, a)),
            (0..64u64, 0..16u64).prop_map(|(s, n)| Step::Remove(s, n)),
            (0..64u64, 0..16u64, 0..4u8).prop_map(|(s, n, a)| Step::Update(s, n, a)),
            (1..8u64, 0..3u32).prop_map(|(n, shift)| Step::Gap(n, shift)),
        ]
    }

    /// The map is disjoint, merged, and says of each page what the model says.
    fn check(map: &AreaMap, model: &HashMap<u64, u8>) {
        let areas: Vec<_> = map.iter().collect();
        for pair in areas.windows(2) {
            assert!(pair[0].range.end <= pair[1].range.start);
            assert!(
                pair[0].range.end < pair[1].range.start || pair[0].attributes != pair[1].attributes
            );
        }
        for page in 0..96 {
            assert_eq!(
                map.find(page).map(|area| area.attributes),
                model.get(&page).map(|&n| attributes(n))
            );
        }
        let bytes = |wanted: fn(&Attributes) -> bool| {
            model.values().filter(|&&n| wanted(&attributes(n))).count() as u64
        };
        let totals = Totals {
            all: bytes(|_| true),
            data: bytes(Attributes::is_data),
            locked: bytes(|what| what.locked),
        };
        assert_eq!(map.totals(), totals);
        let sourced = bytes(|what| what.source == 1);
        assert_eq!(map.sourced.get(&1).copied().unwrap_or(0), sourced);
    }

    fn best_gap(model: &HashMap<u64, u8>, pages: u64, align: u64) -> Option<u64> {
        (2..=80 - pages)
            .rev()
            .find(|s| s % align == 0 && (*s..s + pages).all(|p| !model.contains_key(&p)))
    }

    proptest! {
        #[test]
        fn behaves_like_one_entry_per_page(steps in prop::collection::vec(step(), 1..60)) {
            let mut map = AreaMap::new();
            let mut model = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(start, count, n) => {
                        let free = (start..start + count).all(|page| !model.contains_key(&page));
                        let done = map.insert(Range { start, end: start + count }, attributes(n));
                        assert_eq!(done.is_ok(), free);
                        if free { model.extend((start..start + count).map(|page| (page, n))); }
                    }
                    Step::Remove(start, count) => {
                        let range = Range { start, end: start + count };
                        let removed: u64 = map.remove(range).iter().map(|area| area.range.bytes()).sum();
                        let before = model.len();
                        model.retain(|page, _| !range.contains(*page));
                        assert_eq!(removed, (before - model.len()) as u64);
                    }
                    Step::Update(start, count, n) => {
                        map.update(Range { start, end: start + count }, |_| attributes(n));
                        for page in start..start + count {
                            if let Some(entry) = model.get_mut(&page) { *entry = n; }
                        }
                    }
                    Step::Gap(pages, shift) => {
                        assert_eq!(map.find_gap(pages, 2, 80, 1 << shift), best_gap(&model, pages, 1 << shift));
                    }
                }
                check(&map, &model);
            }
        }
    }

    #[test]
    fn parts_are_clipped_to_the_range_asked_for() {
        let mut map = AreaMap::new();
        map.insert(Range { start: 10, end: 20 }, attributes(1))
            .unwrap();
        let parts = map.parts(Range { start: 15, end: 30 });
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].range, Range { start: 15, end: 20 });
        assert!(!map.is_covered(Range { start: 15, end: 30 }));
        assert!(map.is_covered(Range { start: 10, end: 20 }));
    }

    #[test]
    fn a_source_is_free_when_its_last_area_is_gone() {
        let mut map = AreaMap::new();
        let range = Range { start: 10, end: 20 };
        map.insert(range, attributes(1)).unwrap();
        map.remove(Range { start: 12, end: 14 });
        assert!(map.take_unsourced().is_empty());
        map.update(range, |_| attributes(2));
        assert_eq!(map.take_unsourced(), [1]);
        map.update(range, |_| attributes(1));
        map.remove(range);
        map.insert(range, attributes(1)).unwrap();
        assert!(map.take_unsourced().is_empty());
    }

    #[test]
    fn a_range_that_wraps_is_refused() {
        assert_eq!(Range::new(u64::MAX, 2), None);
    }
}
