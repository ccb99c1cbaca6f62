// SPDX-License-Identifier: GPL-2.0
//! prlimit(2), and the limits on memory, which Linux cannot enforce: it does not see the memory.

use ihk_ikc::errno::Errno;

use crate::vma::{AreaMap, Attributes, Protection, Range, Totals};

/// What a new limit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At most the soft limit, which everybody may.
    OfSoftLimit,
    /// The hard one, which Linux keeps and lets only the privileged raise.
    OfHardLimit,
}

/// What of the soft and hard limit changes if they become `wanted`.
///
/// # Errors
///
/// `EINVAL`: the soft one is above the hard one.
pub fn check_change([_, hard]: [u64; 2], wanted: [u64; 2]) -> Result<Change, Errno> {
    if wanted[0] > wanted[1] {
        Err(Errno::EINVAL)
    } else if wanted[1] == hard {
        Ok(Change::OfSoftLimit)
    } else {
        Ok(Change::OfHardLimit)
    }
}

/// Soft limits on memory, bytes.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// `RLIMIT_AS`: the whole address space.
    pub space: u64,
    /// `RLIMIT_DATA`: writable private memory.
    pub data: u64,
}

/// Whether `bytes` more with the attributes `what` stay below `limits`.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_growth(
    now: &Totals,
    bytes: u64,
    what: &Attributes,
    limits: MemoryLimits,
) -> Result<(), Errno> {
    let too_much = now.all.saturating_add(bytes) > limits.space
        || what.is_data() && now.data.saturating_add(bytes) > limits.data;
    if too_much {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

/// Whether all of `range` may become writable, by the limit `data`.
///
/// # Errors
///
/// `ENOMEM`.
pub fn check_more_data(areas: &AreaMap, range: Range, data: u64) -> Result<(), Errno> {
    let writable = |what: Attributes| {
        let protection = Protection {
            write: true,
            ..what.protection
        };
        Attributes { protection, ..what }
    };
    let parts = areas.parts(range);
    let more = parts
        .iter()
        .filter(|area| !area.attributes.is_data() && writable(area.attributes).is_data());
    let more: u64 = more.map(|area| area.range.bytes()).sum();
    if more != 0 && areas.totals().data.saturating_add(more) > data {
        Err(Errno::ENOMEM)
    } else {
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::Kind;

    fn area(write: bool, shared: bool) -> Attributes {
        let protection = Protection {
            read: true,
            write,
            ..Protection::default()
        };
        Attributes {
            shared,
            ..Attributes::new(Kind::Anonymous, protection)
        }
    }

    fn range(start: u64, end: u64) -> Range {
        Range { start, end }
    }

    /// do_prlimit: `rlim_cur > rlim_max` is EINVAL; a higher hard limit wants CAP_SYS_RESOURCE.
    #[test]
    fn everybody_changes_a_soft_limit_below_the_hard_one() {
        use Change::{OfHardLimit, OfSoftLimit};
        let before = [50, 100];
        assert_eq!(check_change(before, [100, 100]), Ok(OfSoftLimit));
        assert_eq!(check_change(before, [10, 20]), Ok(OfHardLimit));
        assert_eq!(check_change(before, [50, 101]), Ok(OfHardLimit));
        assert_eq!(check_change(before, [60, 50]), Err(Errno::EINVAL));
        assert_eq!(check_change(before, [101, 100]), Err(Errno::EINVAL));
    }

    /// getrlimit(2): RLIMIT_AS counts everything, RLIMIT_DATA what is private and writable.
    #[test]
    fn each_limit_counts_its_own_memory() {
        let now = Totals {
            all: 1000,
            data: 400,
            locked: 0,
        };
        let limits = MemoryLimits {
            space: 1500,
            data: 500,
        };
        let check = |bytes, write, shared| check_growth(&now, bytes, &area(write, shared), limits);
        assert_eq!(check(100, true, false), Ok(()));
        assert_eq!(check(101, true, false), Err(Errno::ENOMEM), "data");
        assert_eq!(check(500, false, false), Ok(()), "no data: read-only");
        assert_eq!(check(500, true, true), Ok(()), "no data: shared");
        assert_eq!(check(501, false, false), Err(Errno::ENOMEM), "space");
        assert_eq!(
            check(u64::MAX, true, false),
            Err(Errno::ENOMEM),
            "nothing wraps"
        );
    }

    /// mprotect_fixup: memory that becomes writable is charged, memory that is writable is not charged again.
    #[test]
    fn making_memory_writable_counts_what_was_not() {
        let mut areas = AreaMap::new();
        for (range, what) in [
            (range(0, 100), area(true, false)),
            (range(100, 200), area(false, false)),
            (range(200, 300), area(false, true)),
        ] {
            areas.insert(range, what).expect("it is free");
        }
        assert_eq!(areas.totals().data, 100);
        let check = |range, limit| check_more_data(&areas, range, limit);
        assert_eq!(
            check(range(0, 300), 200),
            Ok(()),
            "what is shared is no data"
        );
        assert_eq!(check(range(0, 300), 199), Err(Errno::ENOMEM));
        assert_eq!(check(range(150, 300), 150), Ok(()), "a part of it");
        assert_eq!(check(range(0, 100), 0), Ok(()), "nothing more");
    }
}
