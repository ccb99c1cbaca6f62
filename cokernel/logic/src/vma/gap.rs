// SPDX-License-Identifier: GPL-2.0
//! The search for free addresses, from above. It begins where the last one ended, as far as nothing
//! above became free.

use super::AreaMap;
use crate::area::Range;

/// The result of the last search for a gap: none of at least `bytes` that may start at a multiple of
/// `align` ends above `top` and at or below `high`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Searched {
    bytes: u64,
    align: u64,
    high: u64,
    top: u64,
}

impl AreaMap {
    /// The highest free range of `bytes` that ends at or below `high`, starts at or above `low`
    /// and starts at a multiple of `align` (a power of two); its start.
    #[must_use]
    pub fn find_gap(&mut self, bytes: u64, low: u64, high: u64, align: u64) -> Option<u64> {
        let known = self
            .searched
            .filter(|known| known.bytes <= bytes && known.align <= align && known.high == high);
        let top = known.map_or(high, |known| known.top);
        let (found, top) = self.search_gap(bytes, low, top, align)?;
        self.searched = Some(Searched {
            bytes,
            align,
            high,
            top,
        });
        Some(found)
    }

    /// As [`Self::find_gap`], below `high`; also the end of the gap.
    fn search_gap(&self, bytes: u64, low: u64, high: u64, align: u64) -> Option<(u64, u64)> {
        let mut top = high;
        for (&start, &(end, _)) in self.areas.range(..high).rev() {
            let fitting = fit_below(top, bytes, align);
            if let Some(address) = fitting.filter(|&address| address >= end.max(low)) {
                return Some((address, top));
            }
            top = top.min(start);
            if top < low {
                return None;
            }
        }
        let address = fit_below(top, bytes, align).filter(|&address| address >= low)?;
        Some((address, top))
    }

    /// `range` becomes free: the next search begins above the gap it makes.
    pub(super) fn widen_search(&mut self, range: Range) {
        let above = self.areas.range(range.end..).next();
        let gap_end = above.map_or(u64::MAX, |(&start, _)| start);
        if let Some(known) = &mut self.searched {
            known.top = known.top.max(gap_end.min(known.high));
        }
    }
}

/// The highest multiple of `align` from which `bytes` end at or below `top`.
fn fit_below(top: u64, bytes: u64, align: u64) -> Option<u64> {
    top.checked_sub(bytes).map(|address| address & !(align - 1))
}
