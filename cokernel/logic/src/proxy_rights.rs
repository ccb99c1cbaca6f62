// SPDX-License-Identifier: GPL-2.0
//! Differences between the rights that the proxy has in the program's memory and those it should have.
//!
//! The proxy may write everything but what it was told to make read-only; the map of that holds
//! equal markers. What the program may read but not write must be read-only there, too.

use alloc::vec::Vec;

use crate::vma::{AreaMap, Attributes, Kind, Protection, Range};

/// A stretch of the window whose rights in the proxy are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The addresses.
    pub range: Range,
    /// Whether it has to become read-only; otherwise it has to become writable.
    pub read_only: bool,
}

/// Notes in the map `marked` that the proxy has made `range` read-only, or writable again.
pub fn record(marked: &mut AreaMap, range: Range, read_only: bool) {
    marked.remove(range);
    if read_only {
        let marker = Attributes::new(Kind::Special, Protection::default());
        // Just emptied, so it is free.
        let _ = marked.insert(range, marker);
    }
}

/// The changes that the proxy needs, in order, so that it fits `areas` in `range`; what it made read-only
/// is `marked`. Pages of Linux's, and what the program cannot touch, stay as they are.
#[must_use]
pub fn differences(areas: &AreaMap, marked: &AreaMap, range: Range) -> Vec<Difference> {
    let mut found = Vec::new();
    for area in areas.parts(range) {
        let rights = area.attributes.protection;
        let kind = area.attributes.kind;
        if kind == Kind::Special || kind.is_mirrored() || !rights.is_accessible() {
            continue;
        }
        let marked = marked.parts(area.range);
        let marked = marked.iter().map(|part| part.range);
        if rights.is_read_only() {
            add_gaps(&mut found, area.range, marked);
        } else {
            found.extend(marked.map(|range| Difference {
                range,
                read_only: false,
            }));
        }
    }
    found
}

/// Adds the parts of `range` that are not `marked`: they have to become read-only.
fn add_gaps(found: &mut Vec<Difference>, range: Range, marked: impl Iterator<Item = Range>) {
    let mut start = range.start;
    let behind = Range {
        start: range.end,
        end: range.end,
    };
    for part in marked.chain([behind]) {
        if start < part.start {
            found.push(Difference {
                range: Range {
                    start,
                    end: part.start,
                },
                read_only: true,
            });
        }
        start = part.end;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Protection = Protection {
        read: false,
        write: false,
        exec: false,
        key: 0,
    };
    const READ: Protection = Protection { read: true, ..NONE };
    const EXEC: Protection = Protection { exec: true, ..NONE };
    const WRITE: Protection = Protection {
        write: true,
        ..READ
    };
    const ALL: Range = range(0, 100);

    const fn range(start: u64, end: u64) -> Range {
        Range { start, end }
    }

    fn map(areas: &[(u64, u64, Kind, Protection)]) -> AreaMap {
        let mut map = AreaMap::new();
        for &(start, end, kind, protection) in areas {
            let attributes = Attributes::new(kind, protection);
            map.insert(range(start, end), attributes).expect("overlap");
        }
        map
    }

    fn marks(ranges: &[Range]) -> AreaMap {
        let mut marked = AreaMap::new();
        for part in ranges {
            record(&mut marked, *part, true);
        }
        marked
    }

    fn to_read_only(start: u64, end: u64) -> Difference {
        Difference {
            range: range(start, end),
            read_only: true,
        }
    }

    fn to_writable(start: u64, end: u64) -> Difference {
        Difference {
            range: range(start, end),
            read_only: false,
        }
    }

    #[test]
    fn what_is_writable_and_not_marked_needs_nothing() {
        let areas = map(&[(0, 10, Kind::Anonymous, WRITE)]);
        assert_eq!(differences(&areas, &AreaMap::new(), ALL), []);
    }

    #[test]
    fn what_cannot_be_written_becomes_read_only_once() {
        for rights in [READ, EXEC] {
            let areas = map(&[(10, 20, Kind::Segment, rights)]);
            let mut marked = AreaMap::new();
            assert_eq!(differences(&areas, &marked, ALL), [to_read_only(10, 20)]);
            record(&mut marked, range(10, 20), true);
            assert_eq!(differences(&areas, &marked, ALL), []);
        }
    }

    #[test]
    fn what_was_marked_and_may_be_written_becomes_writable() {
        let areas = map(&[(0, 30, Kind::Heap, WRITE)]);
        let marked = marks(&[range(5, 10), range(20, 40)]);
        assert_eq!(
            differences(&areas, &marked, ALL),
            [to_writable(5, 10), to_writable(20, 30)]
        );
    }

    #[test]
    fn only_what_is_missing_becomes_read_only() {
        let areas = map(&[(0, 30, Kind::File, READ)]);
        let missing = |ranges: &[Range]| differences(&areas, &marks(ranges), ALL);
        assert_eq!(
            missing(&[range(5, 10), range(20, 25)]),
            [
                to_read_only(0, 5),
                to_read_only(10, 20),
                to_read_only(25, 30)
            ]
        );
        assert_eq!(missing(&[range(0, 10)]), [to_read_only(10, 30)]);
        assert_eq!(missing(&[range(20, 30)]), [to_read_only(0, 20)]);
        assert_eq!(missing(&[range(0, 30)]), []);
    }

    #[test]
    fn nothing_outside_of_the_range_is_named() {
        let areas = map(&[(0, 50, Kind::File, READ), (50, 90, Kind::Heap, WRITE)]);
        let marked = marks(&[range(60, 80)]);
        assert_eq!(
            differences(&areas, &marked, range(40, 70)),
            [to_read_only(40, 50), to_writable(60, 70)]
        );
        assert_eq!(differences(&areas, &marked, range(50, 60)), []);
        assert_eq!(differences(&areas, &marked, range(90, 100)), []);
    }

    #[test]
    fn what_nobody_can_touch_and_what_is_linuxs_stays() {
        let areas = map(&[
            (0, 10, Kind::Anonymous, NONE),
            (10, 20, Kind::Special, READ),
            (20, 30, Kind::MappedFile, READ),
            (30, 40, Kind::SystemV, READ),
        ]);
        assert_eq!(differences(&areas, &AreaMap::new(), ALL), []);
        let areas = map(&[
            (0, 10, Kind::Anonymous, NONE),
            (10, 20, Kind::MappedFile, WRITE),
        ]);
        assert_eq!(differences(&areas, &marks(&[range(0, 20)]), ALL), []);
    }

    #[test]
    fn a_record_of_a_part_leaves_the_rest() {
        let mut marked = marks(&[range(0, 30)]);
        record(&mut marked, range(10, 20), false);
        let left: Vec<_> = marked.iter().map(|area| area.range).collect();
        assert_eq!(left, [range(0, 10), range(20, 30)]);
        record(&mut marked, range(5, 25), true);
        let joined: Vec<_> = marked.iter().map(|area| area.range).collect();
        assert_eq!(joined, [range(0, 30)]);
    }

    fn protection() -> impl Strategy<Value = Protection> {
        prop_oneof![Just(NONE), Just(READ), Just(EXEC), Just(WRITE)]
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Anonymous),
            Just(Kind::Segment),
            Just(Kind::Special),
            Just(Kind::MappedFile),
        ]
    }

    fn some_areas() -> impl Strategy<Value = AreaMap> {
        let area = (0..64u64, 1..16u64, kind(), protection());
        proptest::collection::vec(area, 0..12).prop_map(|areas| {
            let mut map = AreaMap::new();
            for (start, length, kind, protection) in areas {
                let _ = map.insert(
                    range(start, start + length),
                    Attributes::new(kind, protection),
                );
            }
            map
        })
    }

    fn some_marks() -> impl Strategy<Value = AreaMap> {
        proptest::collection::vec((0..64u64, 1..16u64), 0..8).prop_map(|parts| {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(start, length)| range(start, start + length))
                .collect();
            marks(&parts)
        })
    }

    /// Whether the proxy should have the page at `at` read-only; `None`: nobody cares.
    fn wanted(areas: &AreaMap, at: u64) -> Option<bool> {
        let what = areas.find(at)?.attributes;
        let is_ours = !matches!(what.kind, Kind::Special | Kind::MappedFile);
        let Protection {
            read, write, exec, ..
        } = what.protection;
        (is_ours && (read || write || exec)).then_some(!write)
    }

    proptest! {
        #[test]
        fn what_is_told_to_the_proxy_is_what_is_needed_and_no_more(
            areas in some_areas(),
            marked in some_marks(),
            start in 0..80u64,
            length in 0..80u64,
        ) {
            let looked_at = range(start, start + length);
            let told = differences(&areas, &marked, looked_at);
            let mut after = marked.clone();
            for difference in &told {
                prop_assert!(!difference.range.is_empty());
                record(&mut after, difference.range, difference.read_only);
            }
            for page in 0..100 {
                let before = marked.find(page).is_some();
                let expected = match wanted(&areas, page) {
                    Some(read_only) if looked_at.contains(page) => read_only,
                    _ => before,
                };
                prop_assert_eq!(after.find(page).is_some(), expected, "page {}", page);
                let named = told.iter().filter(|it| it.range.contains(page)).count();
                prop_assert_eq!(named, usize::from(before != expected), "page {}", page);
            }
            prop_assert_eq!(differences(&areas, &after, looked_at), []);
        }
    }
}
