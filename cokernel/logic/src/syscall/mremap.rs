// SPDX-License-Identifier: GPL-2.0
//! mremap(2): the arguments, the area that they are about, and whether it can grow where it is.

use alloc::vec::Vec;

use ihk_ikc::errno::Errno;

use crate::addr::{is_page_aligned, page_up};
use crate::argument::uint;
use crate::syscall::memory::has_special;
use crate::vma::{Area, AreaMap, Kind, Range};

const MAYMOVE: u32 = 1;
const FIXED: u32 = 2;
const DONTUNMAP: u32 = 4;

/// The checked arguments of mremap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MremapArgs {
    /// The range that is there.
    pub old: Range,
    /// Length of the range that it becomes.
    pub new_bytes: u64,
    /// It may lie elsewhere.
    pub may_move: bool,
    /// It must begin here.
    pub fixed: Option<u64>,
    /// An empty area stays behind.
    pub keeps_area: bool,
}

impl MremapArgs {
    /// Checks the arguments of the call.
    ///
    /// # Errors
    ///
    /// `EINVAL`, as `check_mremap_params` of Linux.
    pub fn check(registers: [u64; 6]) -> Result<Self, Errno> {
        let [start, old_bytes, new_bytes, flags, target, _] = registers;
        let flags = uint(flags);
        let old_bytes = page_up(old_bytes).ok_or(Errno::EINVAL)?;
        let new_bytes = page_up(new_bytes).ok_or(Errno::EINVAL)?;
        let immovable = flags & MAYMOVE == 0;
        let misused = immovable && flags & (FIXED | DONTUNMAP) != 0
            || flags & DONTUNMAP != 0 && old_bytes != new_bytes;
        let unknown = flags & !(MAYMOVE | FIXED | DONTUNMAP) != 0;
        if unknown || misused || !is_page_aligned(start) || new_bytes == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            old: Range::new(start, old_bytes).ok_or(Errno::EINVAL)?,
            new_bytes,
            may_move: !immovable,
            fixed: (flags & FIXED != 0).then_some(target),
            keeps_area: flags & DONTUNMAP != 0,
        })
    }

    /// Whether several areas may be moved at once: to a fixed place, and without a change of size.
    #[must_use]
    pub fn may_move_several(&self) -> bool {
        !self.keeps_area && self.new_bytes == self.old.bytes()
    }

    /// Bytes that are added.
    #[must_use]
    pub fn growth(&self) -> u64 {
        self.new_bytes.saturating_sub(self.old.bytes())
    }

    /// The range that begins at `target`, which is valid for user space if `is_valid` says so.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not, or it overlaps the old one; `ENOMEM`: pages of Linux's that stay are there.
    pub fn target(
        &self,
        target: u64,
        areas: &AreaMap,
        is_valid: impl FnOnce(Range) -> bool,
    ) -> Result<Range, Errno> {
        let new = Range::new(target, self.new_bytes).ok_or(Errno::EINVAL)?;
        if !is_valid(new) || new.overlaps(&self.old) {
            return Err(Errno::EINVAL);
        }
        if has_special(areas, new) {
            return Err(Errno::ENOMEM);
        }
        Ok(new)
    }

    /// The one area that contains all of the old range.
    ///
    /// # Errors
    ///
    /// `EFAULT`: there is none; `EINVAL`: it is not to be changed.
    pub fn source(&self, areas: &AreaMap) -> Result<Area, Errno> {
        let area = areas.find(self.old.start).ok_or(Errno::EFAULT)?;
        if self.old.is_empty() || area.attributes.kind == Kind::Special {
            return Err(Errno::EINVAL);
        }
        if area.range.covers(&self.old) {
            Ok(area)
        } else {
            Err(Errno::EFAULT)
        }
    }

    /// The areas of the old range, of which the first begins it.
    ///
    /// # Errors
    ///
    /// `EFAULT`: none does; `EINVAL`: one is not to be changed.
    pub fn sources(&self, areas: &AreaMap) -> Result<Vec<Area>, Errno> {
        let parts = areas.parts(self.old);
        let first = parts.first();
        if first.is_none_or(|area| area.range.start != self.old.start) {
            return Err(Errno::EFAULT);
        }
        if has_special(areas, self.old) {
            return Err(Errno::EINVAL);
        }
        Ok(parts)
    }

    /// Whether the old range stays where it is in `area`, within `window`: it shrinks, or what lies behind is
    /// free.
    #[must_use]
    pub fn fits_in_place(&self, areas: &AreaMap, window: Range, area: &Area) -> bool {
        if self.keeps_area {
            return false;
        }
        if self.growth() == 0 {
            return true;
        }
        let Some(whole) = Range::new(self.old.start, self.new_bytes) else {
            return false;
        };
        let growth = Range {
            start: self.old.end,
            end: whole.end,
        };
        area.range.end == self.old.end && window.covers(&whole) && areas.is_free(growth)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::{Attributes, Protection};

    const PAGE: u64 = 4096;
    const WINDOW: Range = Range {
        start: 0,
        end: 100 * PAGE,
    };

    fn range(first: u64, end: u64) -> Range {
        Range {
            start: first * PAGE,
            end: end * PAGE,
        }
    }

    fn check(old_pages: u64, new_pages: u64, flags: u32) -> Result<MremapArgs, Errno> {
        let [old, new] = [old_pages, new_pages].map(|pages| pages * PAGE);
        MremapArgs::check([10 * PAGE, old, new, flags.into(), 50 * PAGE, 0])
    }

    /// Memory in pages 10 to 19, with other rights in 20 to 29, a hole, pages of Linux in 40 to 49.
    fn areas() -> AreaMap {
        let mut areas = AreaMap::new();
        let readable = Protection {
            read: true,
            ..Protection::default()
        };
        for (range, kind, protection) in [
            (range(10, 20), Kind::Anonymous, Protection::default()),
            (range(20, 30), Kind::Anonymous, readable),
            (range(40, 50), Kind::Special, readable),
        ] {
            let what = Attributes::new(kind, protection);
            areas.insert(range, what).expect("it is free");
        }
        areas
    }

    fn old(range: Range) -> MremapArgs {
        let args = check(1, 1, MAYMOVE).expect("good arguments");
        MremapArgs {
            old: range,
            new_bytes: range.bytes(),
            ..args
        }
    }

    /// mremap(2): EINVAL for a misaligned address, unknown flags, a new size of zero, MREMAP_FIXED or
    /// MREMAP_DONTUNMAP without MREMAP_MAYMOVE, and MREMAP_DONTUNMAP with two sizes.
    #[test]
    fn flags_must_fit_each_other_and_the_sizes() {
        for (sizes, flags) in [
            ((1, 1), 8),
            ((1, 1), FIXED),
            ((1, 1), DONTUNMAP),
            ((1, 2), MAYMOVE | DONTUNMAP),
            ((1, 0), MAYMOVE),
        ] {
            let checked = check(sizes.0, sizes.1, flags);
            assert_eq!(checked, Err(Errno::EINVAL), "{sizes:?} {flags}");
        }
        let odd = MremapArgs::check([1, PAGE, PAGE, 0, 0, 0]);
        assert_eq!(odd, Err(Errno::EINVAL));
        let wraps = MremapArgs::check([PAGE, u64::MAX, PAGE, 0, 0, 0]);
        assert_eq!(wraps, Err(Errno::EINVAL));
    }

    #[test]
    fn arguments_say_what_may_be_done() {
        let plain = check(1, 2, 0).expect("good arguments");
        assert!(!plain.may_move && plain.fixed.is_none() && !plain.keeps_area);
        assert_eq!((plain.growth(), plain.may_move_several()), (PAGE, false));
        let fixed = check(2, 2, MAYMOVE | FIXED).expect("good arguments");
        assert_eq!((fixed.may_move, fixed.fixed), (true, Some(50 * PAGE)));
        assert_eq!((fixed.growth(), fixed.may_move_several()), (0, true));
        let kept = check(2, 2, MAYMOVE | DONTUNMAP).expect("good arguments");
        assert!(kept.keeps_area && !kept.may_move_several());
        let shrunk = check(2, 1, 0).expect("good arguments");
        assert_eq!(shrunk.growth(), 0);
    }

    /// mremap(2): EINVAL if the new range overlaps the old one.
    #[test]
    fn a_fixed_target_is_user_spaces_and_elsewhere() {
        let args = check(2, 3, MAYMOVE | FIXED).expect("good arguments");
        let target = |page| args.target(page * PAGE, &areas(), |range| WINDOW.covers(&range));
        assert_eq!(target(50), Ok(range(50, 53)));
        assert_eq!(target(12), Ok(range(12, 15)), "right behind");
        assert_eq!(target(7), Ok(range(7, 10)), "right before");
        for overlapping in 8..12 {
            assert_eq!(target(overlapping), Err(Errno::EINVAL));
        }
        assert_eq!(target(98), Err(Errno::EINVAL));
        assert_eq!(target(48), Err(Errno::ENOMEM), "the vdso stays");
        let wraps = args.target(u64::MAX - 0xfff, &areas(), |_| true);
        assert_eq!(wraps, Err(Errno::EINVAL));
    }

    /// mremap(2): EFAULT for an address that is not mapped, or a range of more than one mapping. An old size of
    /// zero duplicates a shared mapping on Linux; not here.
    #[test]
    fn the_old_range_lies_in_one_area() {
        let areas = areas();
        let source = |range| old(range).source(&areas).map(|area| area.range);
        assert_eq!(source(range(12, 15)), Ok(range(10, 20)));
        assert_eq!(source(range(15, 25)), Err(Errno::EFAULT));
        assert_eq!(source(range(25, 35)), Err(Errno::EFAULT));
        assert_eq!(source(range(35, 36)), Err(Errno::EFAULT));
        assert_eq!(source(range(42, 43)), Err(Errno::EINVAL), "Linux's");
        assert_eq!(source(range(12, 12)), Err(Errno::EINVAL));
    }

    /// mremap(2) since Linux 6.17: several mappings move together if the size stays; the first begins the range.
    #[test]
    fn several_areas_move_with_the_holes_between_them() {
        let areas = areas();
        let sources = |range| old(range).sources(&areas);
        let ranges: Vec<Range> = sources(range(15, 35))
            .expect("the first begins it")
            .iter()
            .map(|area| area.range)
            .collect();
        assert_eq!(ranges, [range(15, 20), range(20, 30)]);
        assert_eq!(sources(range(5, 25)), Err(Errno::EFAULT));
        assert_eq!(sources(range(31, 39)), Err(Errno::EFAULT));
        assert_eq!(sources(range(25, 45)), Err(Errno::EINVAL), "Linux's");
    }

    /// vma_expandable: the end of the area, and nothing behind.
    #[test]
    fn only_the_end_of_an_area_grows_and_only_into_free_addresses() {
        let areas = areas();
        let fits = |from: Range, pages, keeps_area| {
            let args = MremapArgs {
                new_bytes: pages * PAGE,
                keeps_area,
                ..old(from)
            };
            let area = args.source(&areas).expect("one area");
            args.fits_in_place(&areas, range(0, 36), &area)
        };
        assert!(fits(range(25, 30), 10, false), "up to page 35");
        assert!(!fits(range(25, 30), 12, false), "beyond the window");
        assert!(!fits(range(10, 20), 11, false), "there is something behind");
        assert!(!fits(range(25, 29), 6, false), "not its end");
        assert!(fits(range(10, 20), 5, false), "it shrinks");
        assert!(fits(range(10, 20), 10, false), "it stays");
        assert!(!fits(range(10, 20), 10, true), "what stays behind is empty");
    }
}
