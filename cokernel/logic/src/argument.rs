// SPDX-License-Identifier: GPL-2.0
//! Arguments of system calls: registers that hold less than 64 bits, ranges of pages, and times.

use crate::addr::page_up;
use crate::vma::Range;
use ihk_ikc::errno::Errno;

/// Nanoseconds of a second.
pub const NS_PER_S: u64 = 1_000_000_000;
/// Microseconds of a second.
pub const US_PER_S: u64 = 1_000_000;
/// Nanoseconds of a microsecond.
pub const NS_PER_US: u64 = 1000;

/// The low half of an argument as the `int` it is.
#[inline]
#[must_use]
pub const fn int(argument: u64) -> i32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an int argument is the low half"
    )]
    let low = argument as u32;
    i32::from_ne_bytes(low.to_ne_bytes())
}

/// The low half of an argument as the `unsigned int` it is.
#[inline]
#[must_use]
pub const fn uint(argument: u64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an unsigned argument is the low half"
    )]
    let low = argument as u32;
    low
}

/// The pages that `bytes` from `start` on touch, if `start` is the first byte of a page; `None` if their end
/// is no address.
#[must_use]
pub fn pages(start: u64, bytes: u64) -> Option<Range> {
    Range::new(start, page_up(bytes)?)
}

/// A `struct timespec` in nanoseconds, as far as they can be counted.
///
/// # Errors
///
/// `EINVAL`: it is negative, or its nanoseconds are a second or more (`timespec64_valid` of Linux).
pub fn timespec([seconds, nanoseconds]: [u64; 2]) -> Result<u64, Errno> {
    if nanoseconds >= NS_PER_S || seconds > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS_PER_S).saturating_add(nanoseconds))
}

/// A `struct timeval` in nanoseconds, as far as they can be counted.
///
/// # Errors
///
/// `EINVAL`: it is negative, or its microseconds are a second or more.
pub fn timeval([seconds, microseconds]: [u64; 2]) -> Result<u64, Errno> {
    if microseconds >= US_PER_S || seconds > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    timespec([seconds, microseconds * NS_PER_US])
}

/// A `struct timespec` of `ns` nanoseconds.
#[must_use]
pub const fn as_timespec(ns: u64) -> [u64; 2] {
    [ns / NS_PER_S, ns % NS_PER_S]
}

/// A `struct timeval` of no less than `ns` nanoseconds.
#[must_use]
pub const fn as_timeval(ns: u64) -> [u64; 2] {
    let us = ns.div_ceil(NS_PER_US);
    [us / US_PER_S, us % US_PER_S]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ABI of Linux x86-64: the upper half of a register that holds an int is not looked at.
    #[test]
    fn the_upper_half_of_an_int_means_nothing() {
        assert_eq!(uint(0xdead_beef_0000_0001), 1);
        assert_eq!(int(0xdead_beef_ffff_ffff), -1);
        assert_eq!(int(u64::MAX >> 1), -1);
    }

    #[test]
    fn a_range_of_pages_ends_with_the_page_of_its_last_byte() {
        let range = |start, end| Some(Range { start, end });
        assert_eq!(pages(0x1000, 1), range(0x1000, 0x2000));
        assert_eq!(pages(0x1000, 0x1000), range(0x1000, 0x2000));
        assert_eq!(pages(0x1000, 0), range(0x1000, 0x1000));
    }

    #[test]
    fn a_range_that_wraps_is_none() {
        assert_eq!(pages(0x1000, u64::MAX), None, "rounding up wraps");
        assert_eq!(pages(u64::MAX - 0xfff, 0x1000), None);
        assert_eq!(pages(0x1000, u64::MAX - 0xfff), None);
    }

    /// timespec64_valid: `tv_sec < 0` and `(unsigned long)tv_nsec >= NSEC_PER_SEC` are not valid.
    #[test]
    fn a_time_has_less_than_a_second_of_nanoseconds_and_is_not_negative() {
        assert_eq!(timespec([2, 999_999_999]), Ok(2_999_999_999));
        assert_eq!(timespec([0, NS_PER_S]), Err(Errno::EINVAL));
        assert_eq!(timespec([0, u64::MAX]), Err(Errno::EINVAL), "minus one");
        assert_eq!(timespec([u64::MAX, 0]), Err(Errno::EINVAL), "minus one");
    }

    #[test]
    fn a_time_beyond_all_clocks_is_the_end_of_time() {
        assert_eq!(timespec([i64::MAX as u64, 0]), Ok(u64::MAX));
        assert_eq!(timeval([i64::MAX as u64, 999_999]), Ok(u64::MAX));
    }

    /// setitimer(2): EINVAL if tv_usec is outside the range 0 to 999999.
    #[test]
    fn a_timeval_has_less_than_a_second_of_microseconds() {
        assert_eq!(timeval([1, 999_999]), Ok(1_999_999_000));
        assert_eq!(timeval([1, 1_000_000]), Err(Errno::EINVAL));
        assert_eq!(timeval([u64::MAX, 0]), Err(Errno::EINVAL));
    }

    /// getitimer(2): a timer that is armed never says that nothing is left.
    #[test]
    fn what_is_left_is_never_told_as_nothing() {
        assert_eq!(as_timeval(0), [0, 0]);
        assert_eq!(as_timeval(1), [0, 1]);
        assert_eq!(as_timeval(999_999_001), [1, 0]);
    }

    proptest! {
        #[test]
        fn whole_microseconds_come_back(us in 0..u64::MAX / NS_PER_US) {
            prop_assert_eq!(timeval(as_timeval(us * NS_PER_US)), Ok(us * NS_PER_US));
        }

        #[test]
        fn pages_are_the_fewest_that_hold_all_bytes(first in 0u64..1000, bytes in 0u64..100_000) {
            let start = first * 4096;
            let range = pages(start, bytes).expect("far from the end");
            prop_assert!(range.end % 4096 == 0 && range.end >= start + bytes);
            prop_assert!(range.end < start + bytes + 4096);
        }
    }
}
