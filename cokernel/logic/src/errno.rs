// SPDX-License-Identifier: GPL-2.0
//! Error numbers of Linux, and the internal codes of calls that begin again.

/// An error number; what a system call returns negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(u16);

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
    // Inside the kernel only: `RESTART_SYS` and the others as errors.
    ERESTARTSYS = 512;
    ERESTARTNOINTR = 513;
    ERESTARTNOHAND = 514;
}

/// The result of a local call.
pub type SyscallResult = Result<u64, Errno>;

impl Errno {
    /// Linux's error `number`.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The value that a system call returns for this error: its number, negated.
    pub const fn negated(self) -> i64 {
        -(self.0 as i64)
    }

    /// The error in a worker's negative answer; `EIO` for a number no error has.
    pub fn from_linux(result: i64) -> Self {
        match u16::try_from(result.unsigned_abs()) {
            Ok(number) if number < 4096 => Self(number),
            _ => Self::EIO,
        }
    }
}

/// The register value of `result`.
pub const fn to_register(result: SyscallResult) -> i64 {
    match result {
        Ok(value) => i64::from_ne_bytes(value.to_ne_bytes()),
        Err(errno) => errno.negated(),
    }
}

/// `ERESTARTSYS`: begin again unless a handler without `SA_RESTART` runs.
pub const RESTART_SYS: i64 = -512;
/// `ERESTARTNOINTR`: always begin again.
pub const RESTART_ALWAYS: i64 = -513;
/// `ERESTARTNOHAND`: begin again unless a handler runs.
pub const RESTART_NO_HANDLER: i64 = -514;
/// `ERESTART_RESTARTBLOCK`: as the one before, for calls with a time limit.
pub const RESTART_BLOCK: i64 = -516;

/// Whether `result` is one of Linux's internal restart codes.
pub fn is_restart_code(result: i64) -> bool {
    (RESTART_BLOCK..=RESTART_SYS).contains(&result)
}
