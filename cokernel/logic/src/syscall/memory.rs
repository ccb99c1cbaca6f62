// SPDX-License-Identifier: GPL-2.0
//! mprotect(2), pkey_mprotect(2), mincore(2) and msync(2): rights, and the ranges they are about.

use alloc::vec::Vec;

use ihk_ikc::errno::Errno;

use crate::addr::is_page_aligned;
use crate::argument::{pages, uint};
use crate::vma::{Area, AreaMap, Kind, Marks, Protection, Range};

/// May be read.
pub const PROT_READ: u32 = 1;
/// May be written.
pub const PROT_WRITE: u32 = 2;
/// May be executed.
pub const PROT_EXEC: u32 = 4;
/// Read, write, execute, and `PROT_SEM`, which means nothing on x86.
const PROT_KNOWN: u32 = 0xf;
const PROT_GROWSDOWN: u32 = 0x0100_0000;

const MS_ASYNC: u32 = 1;
const MS_INVALIDATE: u32 = 2;
const MS_SYNC: u32 = 4;

/// The rights `prot` asks for; bits that mean nothing here are ignored, as on Linux.
#[must_use]
pub const fn protection_of(prot: u64) -> Protection {
    let prot = uint(prot);
    Protection {
        read: prot & PROT_READ != 0,
        write: prot & PROT_WRITE != 0,
        exec: prot & PROT_EXEC != 0,
        key: 0,
    }
}

/// The checked arguments of mprotect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtectArgs {
    range: Range,
    /// From the beginning of the area on, which must be a stack.
    from_stack: bool,
}

impl ProtectArgs {
    /// Checks the arguments of the call; `None` if there is nothing to do.
    ///
    /// # Errors
    ///
    /// `EINVAL` for bad flags and parts of pages, `ENOMEM` for a range that wraps.
    pub fn check(start: u64, bytes: u64, prot: u64) -> Result<Option<Self>, Errno> {
        let prot = uint(prot);
        let unknown = prot & !(PROT_KNOWN | PROT_GROWSDOWN);
        if !is_page_aligned(start) || unknown != 0 {
            // No area grows upwards here.
            return Err(Errno::EINVAL);
        }
        if bytes == 0 {
            return Ok(None);
        }
        let range = pages(start, bytes).ok_or(Errno::ENOMEM)?;
        let from_stack = prot & PROT_GROWSDOWN != 0;
        Ok(Some(Self { range, from_stack }))
    }

    /// The range that is meant among `areas`.
    ///
    /// # Errors
    ///
    /// `ENOMEM` or `EINVAL`: it is to begin with a stack, but there is nothing, or no stack.
    pub fn range(&self, areas: &AreaMap) -> Result<Range, Errno> {
        if !self.from_stack {
            return Ok(self.range);
        }
        let area = areas.find(self.range.start).ok_or(Errno::ENOMEM)?;
        if !area.attributes.grows_down {
            return Err(Errno::EINVAL);
        }
        let start = area.range.start;
        Ok(Range {
            start,
            ..self.range
        })
    }
}

/// The part of `range` before its first hole among `areas`: as on Linux, it changes all the same.
///
/// # Errors
///
/// `ENOMEM`: there is none; `EACCES`: some of it is not to be changed.
pub fn changeable(areas: &AreaMap, range: Range) -> Result<Range, Errno> {
    let end = areas.covered_until(range);
    let before_hole = Range { end, ..range };
    if before_hole.is_empty() {
        return Err(Errno::ENOMEM);
    }
    if has_special(areas, before_hole) {
        return Err(Errno::EACCES);
    }
    Ok(before_hole)
}

/// The part of `range`, which areas cover, before the first area that must not get the rights `protection`.
#[must_use]
pub fn allowed(areas: &AreaMap, range: Range, protection: Protection) -> Range {
    let parts = areas.parts(range);
    let refuses =
        |area: &&Area| area.attributes.marks.has(Marks::NEVER_EXECUTABLE) && protection.exec;
    let refused = parts.iter().find(refuses);
    Range {
        end: refused.map_or(range.end, |area| area.range.start),
        ..range
    }
}

/// Whether the vdso lies in `range`, or lay there. In the proxy Linux's own lies at the same addresses
/// and stays, so nothing else may.
#[must_use]
pub fn has_special(areas: &AreaMap, range: Range) -> bool {
    let parts = areas.parts(range);
    parts
        .iter()
        .any(|area| area.attributes.kind == Kind::Special)
}

/// The parts of `range`, which areas cover, by their protection keys.
#[must_use]
pub fn keys_of(areas: &AreaMap, range: Range) -> Vec<(Range, u8)> {
    let mut parts: Vec<(Range, u8)> = Vec::new();
    for area in areas.parts(range) {
        let key = area.attributes.protection.key;
        match parts.last_mut() {
            Some((last, same)) if *same == key => last.end = area.range.end,
            _ => parts.push((area.range, key)),
        }
    }
    parts
}

/// The range that mincore asks about.
///
/// # Errors
///
/// `EINVAL`: it begins within a page; `ENOMEM`: it wraps.
pub fn mincore(start: u64, bytes: u64) -> Result<Range, Errno> {
    if !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    pages(start, bytes).ok_or(Errno::ENOMEM)
}

/// The range that msync is about.
///
/// # Errors
///
/// `EINVAL` for bad flags and parts of pages, `ENOMEM` for a range that wraps.
pub fn msync(start: u64, bytes: u64, flags: u32) -> Result<Range, Errno> {
    let both = MS_ASYNC | MS_SYNC;
    if flags & !(both | MS_INVALIDATE) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    mincore(start, bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::Attributes;

    const PAGE: u64 = 4096;
    const PROT_GROWSUP: u32 = 0x0200_0000;

    fn range(first: u64, end: u64) -> Range {
        Range {
            start: first * PAGE,
            end: end * PAGE,
        }
    }

    fn area(kind: Kind, key: u8) -> Attributes {
        let protection = Protection {
            key,
            ..protection_of(1)
        };
        Attributes::new(kind, protection)
    }

    /// Memory with key 0 in pages 10 to 19, with key 1 in 20 to 29, a hole, a stack in 40 to 49.
    fn areas() -> AreaMap {
        let mut areas = AreaMap::new();
        let stack = Attributes {
            grows_down: true,
            ..area(Kind::Stack, 0)
        };
        for (range, what) in [
            (range(10, 20), area(Kind::Anonymous, 0)),
            (range(20, 30), area(Kind::Anonymous, 1)),
            (range(40, 50), stack),
        ] {
            areas.insert(range, what).expect("it is free");
        }
        areas
    }

    fn check(start: u64, bytes: u64, prot: u32) -> Result<Option<ProtectArgs>, Errno> {
        ProtectArgs::check(start, bytes, prot.into())
    }

    #[test]
    fn rights_are_the_lowest_three_bits() {
        let rights = |prot| {
            let it = protection_of(prot);
            (it.read, it.write, it.exec)
        };
        assert_eq!(rights(0), (false, false, false));
        assert_eq!(rights(5), (true, false, true));
        assert_eq!(rights(0xffff_ffff_0000_0002), (false, true, false));
    }

    /// mprotect(2): EINVAL if addr is not a multiple of the page size, both PROT_GROWSUP and PROT_GROWSDOWN are
    /// given, or prot is invalid; do_mprotect_pkey: a length of 0 is done before anything is looked at.
    #[test]
    fn mprotect_refuses_unknown_rights_and_parts_of_pages() {
        assert_eq!(check(0x1001, PAGE, 1), Err(Errno::EINVAL));
        assert_eq!(check(0x1000, PAGE, 0x10), Err(Errno::EINVAL));
        assert_eq!(check(0x1000, PAGE, PROT_GROWSUP), Err(Errno::EINVAL));
        assert_eq!(
            check(0x1000, PAGE, PROT_GROWSUP | PROT_GROWSDOWN),
            Err(Errno::EINVAL)
        );
        assert!(check(0x1000, PAGE, 0xf).is_ok(), "PROT_SEM");
        assert_eq!(check(0x1000, 0, 7), Ok(None));
        assert_eq!(check(0x1001, 0, 7), Err(Errno::EINVAL));
        assert_eq!(check(0x1000, u64::MAX, 7), Err(Errno::ENOMEM));
        assert_eq!(check(u64::MAX - 0xfff, PAGE, 7), Err(Errno::ENOMEM));
    }

    fn meant(start: u64, prot: u32) -> Result<Range, Errno> {
        let args = check(start * PAGE, PAGE, prot)?.expect("it is a page long");
        args.range(&areas())
    }

    /// mprotect(2), PROT_GROWSDOWN: the protection mode is applied down to the beginning of the mapping, which
    /// should be a stack segment.
    #[test]
    fn grows_down_means_the_stack_from_its_beginning_on() {
        assert_eq!(meant(45, 1), Ok(range(45, 46)));
        assert_eq!(meant(45, 1 | PROT_GROWSDOWN), Ok(range(40, 46)));
        assert_eq!(meant(15, PROT_GROWSDOWN), Err(Errno::EINVAL), "no stack");
        assert_eq!(meant(35, PROT_GROWSDOWN), Err(Errno::ENOMEM), "nothing");
    }

    /// mprotect(2): ENOMEM if there is a hole, but what lies before it has changed.
    #[test]
    fn rights_change_up_to_the_first_hole() {
        assert_eq!(changeable(&areas(), range(15, 25)), Ok(range(15, 25)));
        assert_eq!(changeable(&areas(), range(15, 45)), Ok(range(15, 30)));
        assert_eq!(changeable(&areas(), range(35, 45)), Err(Errno::ENOMEM));
    }

    #[test]
    fn pages_of_linux_keep_their_rights() {
        let mut areas = areas();
        areas
            .insert(range(30, 31), area(Kind::Special, 0))
            .expect("it is free");
        assert_eq!(changeable(&areas, range(25, 31)), Err(Errno::EACCES));
        assert_eq!(changeable(&areas, range(25, 30)), Ok(range(25, 30)));
    }

    /// mprotect(2): EACCES where the rights are more than the mapping may have; what lies before has changed.
    #[test]
    fn what_lies_before_memory_that_is_never_executable_is_allowed() {
        let mut areas = areas();
        areas.update(range(14, 18), |what| Attributes {
            marks: Marks::NEVER_EXECUTABLE,
            ..what
        });
        let allows = |prot| allowed(&areas, range(12, 25), protection_of(prot));
        assert_eq!(allows(5), range(12, 14));
        assert_eq!(allows(3), range(12, 25));
        let behind = allowed(&areas, range(18, 25), protection_of(4));
        assert_eq!(behind, range(18, 25));
    }

    /// pkey_mprotect(2): with a key of -1, and in mprotect, each page keeps its key.
    #[test]
    fn each_part_keeps_its_key() {
        let expected = [(range(15, 20), 0), (range(20, 25), 1)];
        assert_eq!(keys_of(&areas(), range(15, 25)), expected);
        let mut areas = areas();
        let writable = protection_of(3);
        areas.update(range(12, 14), |what| Attributes {
            protection: writable,
            ..what
        });
        assert_eq!(keys_of(&areas, range(10, 20)), [(range(10, 20), 0)]);
    }

    /// mincore(2): EINVAL for a misaligned address, ENOMEM for a length that is too large.
    #[test]
    fn mincore_asks_about_whole_pages() {
        assert_eq!(mincore(10 * PAGE, 1), Ok(range(10, 11)));
        assert_eq!(mincore(1, 1), Err(Errno::EINVAL));
        assert_eq!(mincore(PAGE, u64::MAX), Err(Errno::ENOMEM));
    }

    /// msync(2): EINVAL for other flags, and for MS_ASYNC together with MS_SYNC; none of them is allowed.
    #[test]
    fn msync_is_asynchronous_or_not() {
        for good in [0, MS_ASYNC, MS_SYNC, MS_SYNC | MS_INVALIDATE, MS_INVALIDATE] {
            assert_eq!(msync(PAGE, 1, good), Ok(range(1, 2)), "{good}");
        }
        for bad in [MS_ASYNC | MS_SYNC, 8, u32::MAX] {
            assert_eq!(msync(PAGE, 1, bad), Err(Errno::EINVAL), "{bad}");
        }
    }
}
