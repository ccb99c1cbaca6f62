// SPDX-License-Identifier: GPL-2.0
//! Error numbers of Linux, and the answer of a system call.
//!
//! An answer is a value or an error. Only where it lies in one word, in a register, a slot or a packet, is
//! it written as Linux does: [`encode`] and [`decode`].

/// An error number of Linux, from 1 to [`MAX_ERRNO`]; among them are the codes of calls that begin again,
/// which no program sees. A whole word, so that a [`SyscallResult`] fits in two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(u64);

/// The answer of a system call, or of an operation that is asked for like one.
pub type SyscallResult = Result<u64, Errno>;

/// The highest error number.
pub const MAX_ERRNO: u64 = 4095;

macro_rules! errno {
    ($($name:ident = $number:literal;)*) => {
        #[allow(missing_docs, reason = "the names are Linux's")]
        impl Errno {
            $(pub const $name: Self = Self($number);)*
        }
    };
}

errno! {
    EPERM = 1;
    ENOENT = 2;
    ESRCH = 3;
    EINTR = 4;
    EIO = 5;
    E2BIG = 7;
    EBADF = 9;
    EAGAIN = 11;
    ENOMEM = 12;
    EACCES = 13;
    EFAULT = 14;
    EBUSY = 16;
    EEXIST = 17;
    ENODEV = 19;
    EINVAL = 22;
    ENOSPC = 28;
    EDEADLK = 35;
    ENOSYS = 38;
    EOVERFLOW = 75;
    EOPNOTSUPP = 95;
    ETIMEDOUT = 110;
    // Codes of calls that begin again: unless a handler without `SA_RESTART` runs;
    ERESTARTSYS = 512;
    // always;
    ERESTARTNOINTR = 513;
    // unless a handler runs;
    ERESTARTNOHAND = 514;
    // the same, for calls with a time limit.
    ERESTART_RESTARTBLOCK = 516;
}

impl Errno {
    /// Linux's error `number`; `EIO` for a number that no error has.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        match number {
            1..=4095 => Self(number.unsigned_abs() as u64),
            _ => Self::EIO,
        }
    }

    /// Returns the number, negated: the form that functions of Linux's kernel return.
    #[must_use]
    pub const fn negated(self) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_ERRNO")]
        let number = self.0 as i32;
        -number
    }

    /// Returns whether this is a code of a call that begins again, which is no error for a program.
    #[must_use]
    pub const fn is_restart_code(self) -> bool {
        Self::ERESTARTSYS.0 <= self.0 && self.0 <= Self::ERESTART_RESTARTBLOCK.0
    }
}

/// Returns the word that says `answer`: the value, or the negated error number.
#[must_use]
#[inline]
pub const fn encode(answer: SyscallResult) -> u64 {
    match answer {
        Ok(value) => value,
        Err(Errno(number)) => number.wrapping_neg(),
    }
}

/// Returns the answer that `word` says.
///
/// # Errors
///
/// That is what `word` may say.
#[inline]
pub const fn decode(word: u64) -> SyscallResult {
    let number = word.wrapping_neg();
    if number == 0 || number > MAX_ERRNO {
        Ok(word)
    } else {
        Err(Errno(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `number` as Linux returns it for an error.
    fn negative(number: i64) -> u64 {
        u64::from_ne_bytes((-number).to_ne_bytes())
    }

    #[test]
    fn each_word_is_one_answer_and_each_answer_one_word() {
        for word in [0, 1, 7 << 32, 1 << 63, negative(4096), u64::MAX - 5000] {
            assert_eq!(decode(word), Ok(word));
            assert_eq!(encode(decode(word)), word);
        }
        for number in 1..=4095 {
            let errno = Errno::new(number);
            assert_eq!(encode(Err(errno)), negative(number.into()));
            assert_eq!(decode(negative(number.into())), Err(errno));
            assert_eq!(errno.negated(), -number);
        }
    }

    #[test]
    fn a_call_that_has_not_begun_is_no_success() {
        let not_begun = decode(negative(513));
        assert_eq!(not_begun, Err(Errno::ERESTARTNOINTR));
        assert!(not_begun.is_err_and(Errno::is_restart_code));
        assert!(!Errno::EINTR.is_restart_code());
    }

    #[test]
    fn a_number_that_no_error_has_is_an_input_output_error() {
        for number in [0, -1, 4096, i32::MAX, i32::MIN] {
            assert_eq!(Errno::new(number), Errno::EIO);
        }
    }
}
