// SPDX-License-Identifier: GPL-2.0
//! FUTEX_WAKE_OP: how its code changes a word, and what it says of the old value.
//!
//! ```text
//!  31      28 27        24 23             12 11              0
//!  operation │ comparison │ its argument    │ what to compare with
//! ```
//! Both arguments are signed.

/// Instead of the argument, 1 shifted left by it.
const SHIFT: u32 = 8;

/// A code that Linux does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// The value that `code` makes of a word that is `old`.
///
/// # Errors
///
/// The operation is not known.
#[inline]
pub const fn new_value(code: u32, old: u32) -> Result<u32, Unknown> {
    let operation = code >> 28;
    let argument = low_12_signed(code >> 12);
    let argument = if operation & SHIFT == 0 {
        unsigned(argument)
    } else {
        1 << (unsigned(argument) & 31)
    };
    match operation & !SHIFT {
        0 => Ok(argument),
        1 => Ok(old.wrapping_add(argument)),
        2 => Ok(old | argument),
        3 => Ok(old & !argument),
        4 => Ok(old ^ argument),
        _ => Err(Unknown),
    }
}

/// Whether the `old` value passes the comparison of `code`.
///
/// # Errors
///
/// The comparison is not known.
#[inline]
pub const fn passes(code: u32, old: u32) -> Result<bool, Unknown> {
    let old = signed(old);
    let limit = low_12_signed(code);
    match code >> 24 & 0xf {
        0 => Ok(old == limit),
        1 => Ok(old != limit),
        2 => Ok(old < limit),
        3 => Ok(old <= limit),
        4 => Ok(old > limit),
        5 => Ok(old >= limit),
        _ => Err(Unknown),
    }
}

/// The low 12 bits as a signed number.
const fn low_12_signed(bits: u32) -> i32 {
    signed(bits << 20) >> 20
}

/// The same bits.
const fn signed(word: u32) -> i32 {
    i32::from_ne_bytes(word.to_ne_bytes())
}

/// The same bits.
const fn unsigned(word: i32) -> u32 {
    u32::from_ne_bytes(word.to_ne_bytes())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUS_1: u32 = 0xfff;

    /// As `FUTEX_OP` of Linux's header.
    const fn code(operation: u32, argument: u32, comparison: u32, limit: u32) -> u32 {
        operation << 28 | comparison << 24 | (argument & 0xfff) << 12 | limit & 0xfff
    }

    fn new(operation: u32, argument: u32, old: u32) -> Result<u32, Unknown> {
        new_value(code(operation, argument, 0, 0), old)
    }

    fn compare(comparison: u32, old: u32, limit: u32) -> Result<bool, Unknown> {
        passes(code(0, 0, comparison, limit), old)
    }

    #[test]
    fn each_operation_does_what_its_name_says() {
        assert_eq!(new(0, 5, 0b1100), Ok(5), "set");
        assert_eq!(new(1, 5, 0b1100), Ok(17), "add");
        assert_eq!(new(2, 0b1010, 0b1100), Ok(0b1110), "or");
        assert_eq!(new(3, 0b1010, 0b1100), Ok(0b0100), "and not");
        assert_eq!(new(4, 0b1010, 0b1100), Ok(0b0110), "exclusive or");
    }

    #[test]
    fn arguments_are_signed() {
        assert_eq!(new(0, MINUS_1, 7), Ok(u32::MAX));
        assert_eq!(new(1, MINUS_1, 7), Ok(6));
        assert_eq!(new(0, 0x800, 7), Ok(0xffff_f800));
        assert_eq!(new(0, 0x7ff, 7), Ok(0x7ff));
    }

    #[test]
    fn sums_wrap() {
        assert_eq!(new(1, 1, u32::MAX), Ok(0));
        assert_eq!(new(1, 1, 0x7fff_ffff), Ok(0x8000_0000));
    }

    #[test]
    fn a_shifted_argument_is_a_bit() {
        assert_eq!(new(SHIFT | 2, 4, 1), Ok(17));
        assert_eq!(new(SHIFT, 31, 0), Ok(1 << 31));
        assert_eq!(new(SHIFT, 32, 0), Ok(1), "the shift is taken modulo 32");
        assert_eq!(new(SHIFT, MINUS_1, 0), Ok(1 << 31));
    }

    #[test]
    fn each_comparison_is_of_the_old_value_with_the_limit() {
        let all = |old, limit| {
            core::array::from_fn(|index| {
                let comparison = u32::try_from(index).expect("small");
                compare(comparison, old, limit).expect("known")
            })
        };
        //           eq     ne     lt     le     gt     ge
        assert_eq!(all(3, 3), [true, false, false, true, false, true]);
        assert_eq!(all(2, 3), [false, true, true, true, false, false]);
        assert_eq!(all(4, 3), [false, true, false, false, true, true]);
    }

    #[test]
    fn comparisons_are_signed() {
        assert_eq!(compare(2, u32::MAX, 0), Ok(true), "-1 < 0");
        assert_eq!(compare(0, u32::MAX, MINUS_1), Ok(true), "-1 == -1");
        assert_eq!(compare(4, 0, MINUS_1), Ok(true), "0 > -1");
    }

    #[test]
    fn what_linux_does_not_have_is_refused() {
        for operation in [5, 6, 7, SHIFT | 5, SHIFT | 7] {
            assert_eq!(new(operation, 1, 1), Err(Unknown));
        }
        for comparison in 6..16 {
            assert_eq!(compare(comparison, 1, 1), Err(Unknown));
        }
    }

    proptest! {
        #[test]
        fn what_is_compared_does_not_depend_on_the_operation(code in any::<u32>(), old in any::<u32>()) {
            let other = code ^ 0xf0ff_f000;
            prop_assert_eq!(passes(code, old), passes(other, old));
        }

        #[test]
        fn an_exclusive_or_undoes_itself(argument in 0..4096u32, old in any::<u32>()) {
            let once = new(4, argument, old).expect("known");
            prop_assert_eq!(new(4, argument, once), Ok(old));
        }

        #[test]
        fn a_comparison_and_its_opposite_disagree(old in any::<u32>(), limit in 0..4096u32) {
            for (one, other) in [(0, 1), (2, 5), (3, 4)] {
                prop_assert_ne!(compare(one, old, limit), compare(other, old, limit));
            }
        }
    }
}
