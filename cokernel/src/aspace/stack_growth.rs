// SPDX-License-Identifier: GPL-2.0
//! Stacks grow: a fault below an area that grows downwards makes it longer, within the limit and
//! not too near to what lies below.

use cokernel_logic::vma::{Area, Range};
use ihk_ikc::layout::{PAGE_BYTES, WINDOW_MIN};

use crate::addr::page_down;
use crate::aspace::space::Inner;

/// The gap that stays free below, unless nothing can be touched there: Linux's default `stack_guard_gap`.
const GUARD_BYTES: u64 = 256 * PAGE_BYTES;

/// The area that contains `address`, which lay in none, if one above may grow so far.
pub fn down_to(inner: &mut Inner, address: u64) -> Option<Area> {
    let start = page_down(address);
    let stack = inner
        .areas
        .next_above(address)
        .filter(|area| area.attributes.grows_down)?;
    let grown = stack.range.start - start;
    let within_limit = stack.range.end - start <= inner.stack_limit
        && inner.areas.totals().all + grown <= inner.space_limit;
    let is_clear = inner.areas.next_below(address).is_none_or(|below| {
        let what = below.attributes;
        what.grows_down
            || !what.protection.is_accessible()
            || start.saturating_sub(below.range.end) >= GUARD_BYTES
    });
    if !within_limit || !is_clear || start < WINDOW_MIN {
        return None;
    }
    let growth = Range {
        start,
        end: stack.range.start,
    };
    inner.add_area(growth, stack.attributes).ok()?;
    inner.areas.find(address)
}
