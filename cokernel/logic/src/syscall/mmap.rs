// SPDX-License-Identifier: GPL-2.0
//! mmap(2): the arguments, what the area becomes, and the range that it gets.

use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

use crate::addr::{is_page_aligned, USER_END};
use crate::argument::uint;
use crate::memory_map::GIANT_BYTES;
use crate::syscall::memory::{has_special, protection_of};
use crate::vma::{AreaMap, Attributes, Kind, Marks, Protection, Range};
use ihk_ikc::errno::Errno;

const MAP_TYPE: u32 = 0xf;
const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_DROPPABLE: u32 = 8;
/// The range is where the hint says; what lies there is unmapped.
pub const MAP_FIXED: u32 = 0x10;
/// No file.
pub const MAP_ANONYMOUS: u32 = 0x20;
const MAP_32BIT: u32 = 0x40;
/// A stack, which grows.
pub const MAP_GROWSDOWN: u32 = 0x100;
const MAP_LOCKED: u32 = 0x2000;
/// Memory is not promised.
pub const MAP_NORESERVE: u32 = 0x4000;
/// All pages are there at once.
pub const MAP_POPULATE: u32 = 0x8000;
/// A stack of a thread.
pub const MAP_STACK: u32 = 0x2_0000;
/// Large pages and no others.
pub const MAP_HUGETLB: u32 = 0x4_0000;
/// As [`MAP_FIXED`], but nothing may lie there.
pub const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
/// The position in flags of the size of huge pages, as a power of two; 0 = 2 MiB.
const HUGE_SHIFT: u32 = 26;
const HUGE_MASK: u32 = 0x3f;
/// The addresses of `MAP_32BIT`, as on Linux.
const LOW: Range = Range {
    start: 0x4000_0000,
    end: 0x8000_0000,
};

/// The checked arguments of mmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmapArgs {
    hint: u64,
    bytes: u64,
    /// Size of its pages: its length and a fixed address are multiples.
    unit: u64,
    /// Alignment of its first address, at best.
    align: u64,
    /// Rights.
    pub protection: Protection,
    /// Flags, as given.
    pub flags: u32,
    /// The file.
    pub fd: u64,
    /// The byte of the file that it begins with.
    pub offset: u64,
}

impl MmapArgs {
    /// Checks the arguments of the call.
    ///
    /// # Errors
    ///
    /// `EINVAL`, `ENOMEM` or `EOVERFLOW`, as `ksys_mmap_pgoff` and `do_mmap` of Linux.
    pub fn check(registers: [u64; 6]) -> Result<Self, Errno> {
        let [hint, bytes, prot, flags, fd, offset] = registers;
        let flags = uint(flags);
        if !is_page_aligned(offset) || bytes == 0 {
            return Err(Errno::EINVAL);
        }
        let anonymous = flags & MAP_ANONYMOUS != 0;
        let unit = unit_of(flags)?;
        let bytes = bytes
            .checked_next_multiple_of(unit)
            .filter(|&bytes| bytes <= USER_END)
            .ok_or(Errno::ENOMEM)?;
        offset.checked_add(bytes).ok_or(Errno::EOVERFLOW)?;
        match flags & MAP_TYPE {
            MAP_PRIVATE => {}
            MAP_SHARED if !anonymous || flags & MAP_GROWSDOWN == 0 => {}
            MAP_DROPPABLE if anonymous && flags & (MAP_GROWSDOWN | MAP_LOCKED) == 0 => {}
            MAP_SHARED_VALIDATE if !anonymous => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(Self {
            hint,
            bytes,
            unit,
            align: unit.max(largest_page(bytes)),
            protection: protection_of(prot),
            flags,
            fd,
            offset,
        })
    }

    /// A mapping of `bytes` anywhere, large ones so that large pages fit.
    #[must_use]
    pub fn anywhere(bytes: u64) -> Self {
        Self {
            hint: 0,
            bytes,
            unit: PAGE_BYTES,
            align: largest_page(bytes),
            protection: Protection::default(),
            flags: 0,
            fd: 0,
            offset: 0,
        }
    }

    /// Whether one of `flags` is set.
    #[must_use]
    pub const fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Attributes of the area it becomes.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        let kind = if !self.has(MAP_ANONYMOUS) {
            Kind::File
        } else if self.has(MAP_STACK) {
            Kind::ThreadStack
        } else {
            Kind::Anonymous
        };
        let kind_of_memory = self.flags & MAP_TYPE;
        Attributes {
            locked: self.has(MAP_LOCKED),
            shared: matches!(kind_of_memory, MAP_SHARED | MAP_SHARED_VALIDATE),
            grows_down: self.has(MAP_GROWSDOWN),
            marks: Marks::NONE.with(Marks::WIPED_BY_FORK, kind_of_memory == MAP_DROPPABLE),
            ..Attributes::new(kind, self.protection)
        }
    }

    /// The range that the new mapping gets among `areas`, within `window`: the fixed one, or one that is free,
    /// where the hint says if possible, else below `top`, else anywhere.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL`, `EPERM` and `EEXIST` for a fixed range that is misaligned, too low or taken.
    /// Pages of Linux's that stay are not replaced.
    pub fn place(&self, areas: &mut AreaMap, window: Range, top: u64) -> Result<Range, Errno> {
        if self.has(MAP_FIXED | MAP_FIXED_NOREPLACE) {
            let range = self.fixed(window)?;
            if self.has(MAP_FIXED_NOREPLACE) && !areas.is_free(range) {
                return Err(Errno::EEXIST);
            }
            return if has_special(areas, range) {
                Err(Errno::ENOMEM)
            } else {
                Ok(range)
            };
        }
        if self.has(MAP_32BIT) {
            return self.find(areas, LOW, LOW.end);
        }
        self.find(areas, window, top)
    }

    fn fixed(&self, window: Range) -> Result<Range, Errno> {
        let range = Range::new(self.hint, self.bytes).ok_or(Errno::ENOMEM)?;
        if range.end > USER_END {
            return Err(Errno::ENOMEM);
        }
        if self.hint % self.unit != 0 {
            return Err(Errno::EINVAL);
        }
        if range.start < window.start {
            return Err(Errno::EPERM);
        }
        if !window.covers(&range) {
            return Err(Errno::ENOMEM);
        }
        Ok(range)
    }

    fn find(&self, areas: &mut AreaMap, bounds: Range, top: u64) -> Result<Range, Errno> {
        let hinted = self
            .hint
            .checked_next_multiple_of(self.unit)
            .filter(|_| self.hint != 0)
            .and_then(|start| Range::new(start, self.bytes));
        if let Some(range) = hinted.filter(|range| bounds.covers(range) && areas.is_free(*range)) {
            return Ok(range);
        }
        let mut gap = |align, top| areas.find_gap(self.bytes, bounds.start, top, align);
        let start = gap(self.align, top)
            .or_else(|| gap(self.unit, bounds.end))
            .ok_or(Errno::ENOMEM)?;
        Ok(Range {
            start,
            end: start + self.bytes,
        })
    }
}

/// The size of the largest page that fits into `bytes`.
fn largest_page(bytes: u64) -> u64 {
    let sizes = [GIANT_BYTES, LARGE_PAGE_BYTES];
    let fitting = sizes.into_iter().find(|&size| bytes >= size);
    fitting.unwrap_or(PAGE_BYTES)
}

/// The size of page that `flags` ask for.
///
/// # Errors
///
/// `EINVAL`: there are no such pages.
const fn unit_of(flags: u32) -> Result<u64, Errno> {
    if flags & MAP_HUGETLB == 0 {
        return Ok(PAGE_BYTES);
    }
    if flags & MAP_ANONYMOUS == 0 {
        return Err(Errno::EINVAL);
    }
    match flags >> HUGE_SHIFT & HUGE_MASK {
        0 | 21 => Ok(LARGE_PAGE_BYTES),
        30 => Ok(GIANT_BYTES),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
