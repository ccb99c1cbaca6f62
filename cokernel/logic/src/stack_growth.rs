// SPDX-License-Identifier: GPL-2.0
//! Stacks grow: a fault below an area that grows downwards makes it longer, within the limit and
//! not too near to what lies below (`expand_downwards` and `acct_stack_growth` of Linux).

use ihk_ikc::layout::{PAGE_BYTES, WINDOW_MIN};

use crate::addr::page_down;
use crate::vma::{AreaMap, Attributes, Range};

/// The gap that stays free below, unless nothing can be touched there: Linux's default `stack_guard_gap`.
const GUARD_BYTES: u64 = 256 * PAGE_BYTES;

/// Resource limits, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `RLIMIT_STACK`: of one stack.
    pub stack: u64,
    /// `RLIMIT_AS`: of all areas together.
    pub space: u64,
}

/// The range that must be added to `areas` so that `address`, which lies in none, lies in the stack above it, and
/// the attributes of that; `None` if no stack may grow so far.
#[must_use]
pub fn growth(areas: &AreaMap, address: u64, limits: Limits) -> Option<(Range, Attributes)> {
    let start = page_down(address);
    let stack = areas
        .next_above(address)
        .filter(|area| area.attributes.grows_down)?;
    let grown = stack.range.start - start;
    let within_limit =
        stack.range.end - start <= limits.stack && areas.totals().all + grown <= limits.space;
    let is_clear = areas.next_below(address).is_none_or(|below| {
        let what = below.attributes;
        what.grows_down
            || !what.protection.is_accessible()
            || start.saturating_sub(below.range.end) >= GUARD_BYTES
    });
    if !within_limit || !is_clear || start < WINDOW_MIN {
        return None;
    }
    let end = stack.range.start;
    Some((Range { start, end }, stack.attributes))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::{Kind, Protection};

    const READ_WRITE: Protection = Protection {
        read: true,
        write: true,
        exec: false,
        key: 0,
    };
    const TOP: u64 = 0x7000_0000;
    const NO_LIMITS: Limits = Limits {
        stack: u64::MAX,
        space: u64::MAX,
    };

    fn stack() -> Attributes {
        Attributes {
            grows_down: true,
            ..Attributes::new(Kind::Stack, READ_WRITE)
        }
    }

    /// A stack of 4 pages below [`TOP`].
    fn areas() -> AreaMap {
        let mut areas = AreaMap::new();
        add(&mut areas, TOP - 4 * PAGE_BYTES, TOP, stack());
        areas
    }

    fn add(areas: &mut AreaMap, start: u64, end: u64, what: Attributes) {
        areas
            .insert(Range { start, end }, what)
            .expect("it is free");
    }

    fn grown(areas: &AreaMap, address: u64, limits: Limits) -> Option<u64> {
        growth(areas, address, limits).map(|(range, what)| {
            assert_eq!(range.end, TOP - 4 * PAGE_BYTES, "up to the stack");
            assert_eq!(what, stack());
            range.start
        })
    }

    #[test]
    fn a_stack_grows_to_the_page_of_the_fault() {
        let fault = TOP - 10 * PAGE_BYTES + 123;
        let start = grown(&areas(), fault, NO_LIMITS);
        assert_eq!(start, Some(TOP - 10 * PAGE_BYTES));
    }

    #[test]
    fn what_does_not_grow_down_does_not_grow() {
        let mut areas = AreaMap::new();
        let what = Attributes::new(Kind::Anonymous, READ_WRITE);
        add(&mut areas, TOP - PAGE_BYTES, TOP, what);
        assert!(growth(&areas, TOP - 2 * PAGE_BYTES, NO_LIMITS).is_none());
        assert!(growth(&AreaMap::new(), TOP, NO_LIMITS).is_none());
    }

    /// A fault above a stack is none of it: only the area above the address counts.
    #[test]
    fn a_stack_does_not_grow_upwards() {
        assert!(growth(&areas(), TOP, NO_LIMITS).is_none());
    }

    /// acct_stack_growth: `size > rlimit(RLIMIT_STACK)` is refused, so the limit itself is allowed.
    #[test]
    fn a_stack_may_be_as_long_as_its_limit_and_no_longer() {
        let limits = Limits {
            stack: 10 * PAGE_BYTES,
            ..NO_LIMITS
        };
        let lowest = TOP - 10 * PAGE_BYTES;
        assert_eq!(grown(&areas(), lowest, limits), Some(lowest));
        assert_eq!(grown(&areas(), lowest - 1, limits), None);
    }

    /// may_expand_vm: pages that are added count, not those that were there.
    #[test]
    fn all_areas_together_may_be_as_large_as_the_space_limit() {
        let limits = Limits {
            space: 10 * PAGE_BYTES,
            ..NO_LIMITS
        };
        let mut areas = areas();
        let what = Attributes::new(Kind::Anonymous, READ_WRITE);
        add(&mut areas, 0x10_0000, 0x10_0000 + 4 * PAGE_BYTES, what);
        let lowest = TOP - 6 * PAGE_BYTES;
        assert_eq!(grown(&areas, lowest, limits), Some(lowest));
        assert_eq!(grown(&areas, lowest - 1, limits), None);
    }

    /// expand_downwards: `address - prev->vm_end < stack_guard_gap` is refused.
    #[test]
    fn a_stack_keeps_256_pages_away_from_what_lies_below() {
        let mut areas = areas();
        let end = TOP - 1000 * PAGE_BYTES;
        let what = Attributes::new(Kind::Anonymous, READ_WRITE);
        add(&mut areas, end - PAGE_BYTES, end, what);
        let lowest = end + 256 * PAGE_BYTES;
        assert_eq!(grown(&areas, lowest, NO_LIMITS), Some(lowest));
        assert_eq!(grown(&areas, lowest - 1, NO_LIMITS), None);
    }

    #[test]
    fn a_stack_may_come_near_to_guard_pages_and_other_stacks() {
        for what in [
            Attributes::new(Kind::Anonymous, Protection::default()),
            stack(),
        ] {
            let mut areas = areas();
            let end = TOP - 20 * PAGE_BYTES;
            add(&mut areas, end - PAGE_BYTES, end, what);
            assert_eq!(grown(&areas, end, NO_LIMITS), Some(end));
        }
    }

    /// Linux's mmap_min_addr.
    #[test]
    fn no_stack_reaches_the_lowest_addresses() {
        let mut areas = AreaMap::new();
        add(&mut areas, WINDOW_MIN + PAGE_BYTES, TOP, stack());
        let lowest = growth(&areas, WINDOW_MIN, NO_LIMITS).map(|(range, _)| range.start);
        assert_eq!(lowest, Some(WINDOW_MIN));
        assert!(growth(&areas, WINDOW_MIN - 1, NO_LIMITS).is_none());
    }
}
