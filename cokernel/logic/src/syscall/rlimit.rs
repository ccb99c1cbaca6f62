// SPDX-License-Identifier: GPL-2.0
//! prlimit(2), and the limits on memory, which Linux cannot enforce: it does not see the memory.

use ihk_ikc::errno::Errno;

use crate::vma::{AreaMap, Attributes, Protection, Range, Totals};

/// Whether the soft and hard limit `before` may become `wanted`.
///
/// # Errors
///
/// `EINVAL`: the soft one is above the hard one; `EPERM`: only root raises the hard one.
pub fn check_change(
    [_, hard]: [u64; 2],
    wanted: [u64; 2],
    is_root: impl FnOnce() -> bool,
) -> Result<(), Errno> {
    if wanted[0] > wanted[1] {
        return Err(Errno::EINVAL);
    }
    if wanted[1] > hard && !is_root() {
        return Err(Errno::EPERM);
    }
    Ok(())
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

    /// do_prlimit: `rlim_cur > rlim_max` is EINVAL; a higher hard limit wants CAP_SYS_RESOURCE, a lower does not.
    #[test]
    fn only_root_raises_a_hard_limit() {
        let nobody_asks = || panic!("nobody has to ask who it is");
        assert_eq!(check_change([50, 100], [100, 100], nobody_asks), Ok(()));
        assert_eq!(check_change([50, 100], [10, 20], nobody_asks), Ok(()));
        assert_eq!(
            check_change([50, 100], [60, 50], nobody_asks),
            Err(Errno::EINVAL)
        );
        assert_eq!(
            check_change([50, 100], [50, 101], || false),
            Err(Errno::EPERM)
        );
        assert_eq!(
            check_change([50, 100], [u64::MAX, u64::MAX], || true),
            Ok(())
        );
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
