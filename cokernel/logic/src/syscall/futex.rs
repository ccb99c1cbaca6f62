// SPDX-License-Identifier: GPL-2.0
//! futex(2) and futex_waitv(2): the operation, its flags, and its numbers.

use ihk_ikc::errno::Errno;

/// Operations of Linux.
#[allow(missing_docs, reason = "the names are Linux's")]
pub mod op {
    pub const WAIT: u32 = 0;
    pub const WAKE: u32 = 1;
    pub const REQUEUE: u32 = 3;
    pub const CMP_REQUEUE: u32 = 4;
    pub const WAKE_OP: u32 = 5;
    pub const LOCK_PI: u32 = 6;
    pub const UNLOCK_PI: u32 = 7;
    pub const TRYLOCK_PI: u32 = 8;
    pub const WAIT_BITSET: u32 = 9;
    pub const WAKE_BITSET: u32 = 10;
    pub const LOCK_PI2: u32 = 13;
}

/// Wakes, and is woken, whatever the other side's bits are.
pub const ALL: u32 = u32::MAX;

const OP_MASK: u32 = 0x7f;
/// Flag: the word is the process's own.
const PRIVATE: u32 = 128;
/// Flag: absolute times are CLOCK_REALTIME's.
const CLOCK_REALTIME: u32 = 256;
/// Most words of one call of futex_waitv(2).
const MOST_WORDS: u32 = 128;
/// `CLOCK_REALTIME`, as an argument of futex_waitv(2).
const CLOCK_ID_REALTIME: u32 = 0;
/// `CLOCK_MONOTONIC`, as an argument of futex_waitv(2).
const CLOCK_ID_MONOTONIC: u32 = 1;

/// The second argument of futex(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// One of [`op`], or one that is not known.
    pub command: u32,
    /// The word is the process's own.
    pub private: bool,
    /// Absolute times are CLOCK_REALTIME's.
    pub realtime: bool,
}

impl Operation {
    /// Takes the argument apart.
    ///
    /// # Errors
    ///
    /// `ENOSYS` for flags that Linux does not have, or not for this operation.
    #[inline]
    pub const fn of(argument: u32) -> Result<Self, Errno> {
        let realtime = argument & CLOCK_REALTIME != 0;
        let command = argument & !(PRIVATE | CLOCK_REALTIME);
        if command & !OP_MASK != 0 || realtime && !matches!(command, op::WAIT_BITSET | op::LOCK_PI2)
        {
            return Err(Errno::ENOSYS);
        }
        Ok(Self {
            command,
            private: argument & PRIVATE != 0,
            realtime,
        })
    }

    /// Whether it is about a second word.
    #[inline]
    #[must_use]
    pub const fn uses_second(self) -> bool {
        matches!(self.command, op::REQUEUE | op::CMP_REQUEUE | op::WAKE_OP)
    }
}

/// The bits to wait or wake for.
///
/// # Errors
///
/// `EINVAL`: none.
#[inline]
pub const fn bits(value: u32) -> Result<u32, Errno> {
    if value == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(value)
}

/// Whether as many may be woken and moved by requeueing.
///
/// # Errors
///
/// `EINVAL`: a number is negative as an int.
pub fn check_requeue(wake: u32, most_moved: u32) -> Result<(), Errno> {
    if i32::try_from(wake).is_err() || i32::try_from(most_moved).is_err() {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Whether the time limit of a futex_waitv(2) of `count` words is CLOCK_REALTIME's.
///
/// # Errors
///
/// `EINVAL`: bad numbers, no words, or an unknown clock of a limit that there is.
pub const fn check_waitv(
    entries: u64,
    count: u32,
    flags: u32,
    timeout: u64,
    clock: u32,
) -> Result<bool, Errno> {
    let bad_clock = timeout != 0 && !matches!(clock, CLOCK_ID_REALTIME | CLOCK_ID_MONOTONIC);
    if flags != 0 || count == 0 || count > MOST_WORDS || entries == 0 || bad_clock {
        return Err(Errno::EINVAL);
    }
    Ok(clock == CLOCK_ID_REALTIME)
}

/// The time at which a wait is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Never.
    Never,
    /// So long after the call began, which is at this time.
    After(u64),
    /// At this time, whenever the call began.
    At(u64),
    /// When CLOCK_REALTIME says this, whenever the call began and whoever sets that clock meanwhile.
    AtReal(u64),
}

impl Limit {
    /// The time, when CLOCK_REALTIME is `real_offset_ns` ahead.
    #[must_use]
    pub const fn deadline_ns(self, real_offset_ns: u64) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::After(ns) | Self::At(ns) => Some(ns),
            Self::AtReal(ns) => Some(ns.saturating_sub(real_offset_ns)),
        }
    }

    /// The error of a wait that a signal ended: one that began again would end too late if its time counts
    /// from its beginning.
    #[must_use]
    pub const fn interrupted(self) -> Errno {
        match self {
            Self::Never => Errno::ERESTARTSYS,
            Self::After(_) => Errno::EINTR,
            Self::At(_) | Self::AtReal(_) => Errno::ERESTARTNOHAND,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// futex(2): FUTEX_PRIVATE_FLAG may be used with all operations.
    #[test]
    fn private_is_a_flag_of_all_operations() {
        for command in 0..14 {
            let shared = Operation::of(command).expect("no flag");
            assert_eq!((shared.command, shared.private), (command, false));
            let private = Operation::of(command | 128).expect("the flag");
            assert_eq!((private.command, private.private), (command, true));
        }
    }

    /// futex(2): FUTEX_CLOCK_REALTIME may be used with FUTEX_WAIT_BITSET, FUTEX_LOCK_PI2 and others that there
    /// are not here; ENOSYS with any other operation.
    #[test]
    fn realtime_is_a_flag_of_those_with_absolute_times() {
        for command in 0..14 {
            let allowed = command == op::WAIT_BITSET || command == op::LOCK_PI2;
            for private in [0, 128] {
                let operation = Operation::of(command | private | 256);
                assert_eq!(operation.is_ok(), allowed, "{command}");
                assert!(operation.is_ok_and(|it| it.realtime) == allowed);
            }
        }
    }

    #[test]
    fn other_flags_are_none() {
        for flag in [512, 1 << 31] {
            assert_eq!(Operation::of(op::WAKE | flag), Err(Errno::ENOSYS));
        }
    }

    #[test]
    fn requeueing_and_wake_op_have_two_words() {
        let two = |command| Operation::of(command).is_ok_and(Operation::uses_second);
        assert!((0..14).filter(|command| two(*command)).eq([3, 4, 5]));
    }

    /// futex(2): EINVAL if val3 of FUTEX_WAIT_BITSET or FUTEX_WAKE_BITSET is zero.
    #[test]
    fn no_bits_wait_for_nothing() {
        assert_eq!(bits(0), Err(Errno::EINVAL));
        assert_eq!(bits(0x8000_0001), Ok(0x8000_0001));
    }

    /// futex_requeue: `nr_wake < 0 || nr_requeue < 0` is EINVAL.
    #[test]
    fn numbers_of_requeue_are_not_negative() {
        assert_eq!(check_requeue(0, i32::MAX.unsigned_abs()), Ok(()));
        assert_eq!(check_requeue(u32::MAX, 0), Err(Errno::EINVAL));
        assert_eq!(check_requeue(0, 1 << 31), Err(Errno::EINVAL));
    }

    /// futex_waitv: EINVAL for flags, for no or more than FUTEX_WAITV_MAX words, without an address, and for
    /// another clock than CLOCK_REALTIME and CLOCK_MONOTONIC, which is looked at only with a limit.
    #[test]
    fn waitv_waits_for_1_to_128_words() {
        assert_eq!(check_waitv(0x1000, 128, 0, 0x2000, 0), Ok(true));
        assert_eq!(check_waitv(0x1000, 1, 0, 0x2000, 1), Ok(false));
        assert_eq!(check_waitv(0x1000, 1, 0, 0, 7), Ok(false));
        for (entries, count, flags, timeout, clock) in [
            (0x1000, 0, 0, 0, 0),
            (0x1000, 129, 0, 0, 0),
            (0x1000, 1, 1, 0, 0),
            (0, 1, 0, 0, 0),
            (0x1000, 1, 0, 0x2000, 2),
        ] {
            let checked = check_waitv(entries, count, flags, timeout, clock);
            assert_eq!(checked, Err(Errno::EINVAL));
        }
    }

    /// signal(7): a FUTEX_WAIT without a time limit begins again after a handler with SA_RESTART; one with a
    /// relative limit would wait for too long.
    #[test]
    fn a_wait_begins_again_unless_its_time_counts_from_its_beginning() {
        assert_eq!(Limit::Never.interrupted(), Errno::ERESTARTSYS);
        assert_eq!(Limit::After(5).interrupted(), Errno::EINTR);
        assert_eq!(Limit::At(5).interrupted(), Errno::ERESTARTNOHAND);
        assert_eq!(Limit::AtReal(5).interrupted(), Errno::ERESTARTNOHAND);
    }

    /// futex(2), `FUTEX_CLOCK_REALTIME`: the wait ends when that clock says so.
    #[test]
    fn only_a_wait_on_the_clock_that_is_set_ends_at_another_time_then() {
        let limits = [
            Limit::Never,
            Limit::After(5),
            Limit::At(6),
            Limit::AtReal(70),
        ];
        let deadlines = |offset| limits.map(|limit| limit.deadline_ns(offset));
        assert_eq!(deadlines(50), [None, Some(5), Some(6), Some(20)]);
        assert_eq!(deadlines(90), [None, Some(5), Some(6), Some(0)]);
    }
}
