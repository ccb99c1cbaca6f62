// SPDX-License-Identifier: GPL-2.0
//! mlock(2), mlock2(2) and mlockall(2): flags and ranges, and the limit of what may be locked.

use ihk_ikc::errno::Errno;

use crate::addr::{page_down, page_up};
use crate::vma::{AreaMap, Attributes, Kind, Range};

/// `MLOCK_ONFAULT`.
const ONFAULT: u32 = 1;
const MCL_CURRENT: u32 = 1;
const MCL_FUTURE: u32 = 2;
const MCL_ONFAULT: u32 = 4;

/// Whether mlock2 with `flags` brings the pages in.
///
/// # Errors
///
/// `EINVAL`: unknown flags.
pub const fn fills(flags: u32) -> Result<bool, Errno> {
    if flags & !ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(flags & ONFAULT == 0)
}

/// The checked flags of mlockall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockAll {
    /// All that is mapped now.
    pub current: bool,
    /// All that is mapped later.
    pub future: bool,
    /// Pages are brought in, and do not wait for the first touch.
    pub fill: bool,
}

impl LockAll {
    /// Checks the flags of the call.
    ///
    /// # Errors
    ///
    /// `EINVAL`: unknown flags, or neither what is mapped now nor later.
    pub const fn check(flags: u32) -> Result<Self, Errno> {
        let unknown = flags & !(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
        if flags == 0 || unknown != 0 || flags == MCL_ONFAULT {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            current: flags & MCL_CURRENT != 0,
            future: flags & MCL_FUTURE != 0,
            fill: flags & MCL_ONFAULT == 0,
        })
    }
}

/// The pages that `bytes` from `start` on touch.
///
/// # Errors
///
/// `EINVAL`: their end is no address.
pub fn range_of(start: u64, bytes: u64) -> Result<Range, Errno> {
    let first = page_down(start);
    let bytes = bytes.checked_add(start - first).and_then(page_up);
    bytes
        .and_then(|bytes| Range::new(first, bytes))
        .ok_or(Errno::EINVAL)
}

/// Bytes of `range` that are not locked yet, mapped or not.
#[must_use]
pub fn unlocked_bytes(areas: &AreaMap, range: Range) -> u64 {
    let parts = areas.parts(range);
    let locked = parts.iter().filter(|area| area.attributes.locked);
    range.bytes() - locked.map(|area| area.range.bytes()).sum::<u64>()
}

/// The attributes `what`, locked or not; Linux's own pages never are.
#[must_use]
pub fn with_lock(what: Attributes, locked: bool) -> Attributes {
    Attributes {
        locked: locked && what.kind != Kind::Special,
        ..what
    }
}

/// Whether `bytes` may be locked beyond the `locked` ones, by `limit`, which does not hold for root.
///
/// # Errors
///
/// `EPERM` if nothing may be locked at all, `ENOMEM` if not as much.
pub fn check_limit(
    locked: u64,
    bytes: u64,
    limit: u64,
    is_root: impl FnOnce() -> bool,
) -> Result<(), Errno> {
    if bytes == 0 || limit != 0 && locked.saturating_add(bytes) <= limit || is_root() {
        Ok(())
    } else if limit == 0 {
        Err(Errno::EPERM)
    } else {
        Err(Errno::ENOMEM)
    }
}

/// The error by which calls that map memory say that too much would be locked.
#[must_use]
pub fn at_mapping(errno: Errno) -> Errno {
    if errno == Errno::ENOMEM {
        Errno::EAGAIN
    } else {
        errno
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::Protection;

    const NOBODY_ASKS: fn() -> bool = || panic!("nobody has to ask who it is");

    fn area(kind: Kind, locked: bool) -> Attributes {
        with_lock(Attributes::new(kind, Protection::default()), locked)
    }

    /// mlock2(2): EINVAL for unknown flags; MLOCK_ONFAULT locks pages when they come.
    #[test]
    fn mlock2_knows_one_flag() {
        assert_eq!((fills(0), fills(1)), (Ok(true), Ok(false)));
        assert_eq!(fills(2), Err(Errno::EINVAL));
        assert_eq!(fills(1 << 31), Err(Errno::EINVAL));
    }

    /// mlockall(2): EINVAL for unknown flags, and for MCL_ONFAULT without MCL_FUTURE or MCL_CURRENT.
    #[test]
    fn mlockall_is_about_now_or_later_or_both() {
        let check = |flags| {
            let all = LockAll::check(flags);
            all.map(|all| (all.current, all.future, all.fill))
        };
        assert_eq!(check(1), Ok((true, false, true)));
        assert_eq!(check(2), Ok((false, true, true)));
        assert_eq!(check(3 | 4), Ok((true, true, false)));
        for bad in [0, 4, 8, 1 | 8] {
            assert_eq!(check(bad), Err(Errno::EINVAL), "{bad}");
        }
    }

    /// mlock(2): all pages that contain a part of the address range; EINVAL if addr + len overflows.
    #[test]
    fn a_range_has_the_pages_that_it_touches() {
        let range = |start, end| Ok(Range { start, end });
        assert_eq!(range_of(0x1fff, 2), range(0x1000, 0x3000));
        assert_eq!(range_of(0x1000, 0x1000), range(0x1000, 0x2000));
        assert_eq!(range_of(0x1234, 0), range(0x1000, 0x2000));
        assert_eq!(range_of(0x1000, 0), range(0x1000, 0x1000));
        assert_eq!(range_of(0x1000, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(range_of(u64::MAX, 1), Err(Errno::EINVAL));
    }

    /// count_mm_mlocked_page_nr: what is locked already is not counted again.
    #[test]
    fn only_what_is_not_locked_yet_counts() {
        let mut areas = AreaMap::new();
        let range = |start, end| Range { start, end };
        areas
            .insert(range(0x1000, 0x3000), area(Kind::Anonymous, true))
            .expect("it is free");
        areas
            .insert(range(0x3000, 0x5000), area(Kind::Anonymous, false))
            .expect("it is free");
        assert_eq!(unlocked_bytes(&areas, range(0x2000, 0x4000)), 0x1000);
        assert_eq!(unlocked_bytes(&areas, range(0x1000, 0x3000)), 0);
        assert_eq!(unlocked_bytes(&areas, range(0, 0x6000)), 0x4000);
    }

    /// mlock_fixup: VM_SPECIAL areas are never VM_LOCKED.
    #[test]
    fn pages_of_linux_are_never_locked() {
        assert!(!area(Kind::Special, true).locked);
        assert!(area(Kind::Anonymous, true).locked);
        assert!(!with_lock(area(Kind::Anonymous, true), false).locked);
    }

    /// mlock(2): ENOMEM beyond a soft limit that is not 0, EPERM if it is 0, neither with CAP_IPC_LOCK.
    #[test]
    fn the_limit_is_the_last_byte_that_may_be_locked() {
        assert_eq!(check_limit(60, 40, 100, NOBODY_ASKS), Ok(()));
        assert_eq!(check_limit(60, 41, 100, || false), Err(Errno::ENOMEM));
        assert_eq!(check_limit(0, 1, 0, || false), Err(Errno::EPERM));
        assert_eq!(check_limit(u64::MAX, 1, 100, || false), Err(Errno::ENOMEM));
        assert_eq!(check_limit(0, 0, 0, NOBODY_ASKS), Ok(()), "nothing more");
        for limit in [0, 100] {
            assert_eq!(check_limit(60, 41, limit, || true), Ok(()));
        }
    }

    /// mmap(2): EAGAIN if too much memory would be locked; EPERM stays.
    #[test]
    fn mapping_too_much_locked_memory_may_succeed_later() {
        assert_eq!(at_mapping(Errno::ENOMEM), Errno::EAGAIN);
        assert_eq!(at_mapping(Errno::EPERM), Errno::EPERM);
    }
}
