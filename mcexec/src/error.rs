// SPDX-License-Identifier: GPL-2.0
//! The reasons why a program was not started: one line on stderr, and an exit status like a
//! shell's.

use std::fmt::{self, Display};
use std::io;

use nix::errno::Errno;

/// Exit status: the command line makes no sense.
pub(crate) const USAGE: u8 = 2;
/// Exit status: no co-kernel, or it went away.
pub(crate) const NO_COKERNEL: u8 = 1;
/// Exit status: found and not executable.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// Exit status: not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// A program was not started.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StartError {
    /// `WHAT VALUE: REASON`.
    pub line: String,
    /// Exit status.
    pub status: u8,
    /// Whether it would have started with more descriptors.
    pub wants_descriptors: bool,
}

impl StartError {
    /// Makes the error that says what is wrong with the co-kernel.
    pub(crate) fn cokernel(what: impl Display, reason: impl Display) -> Self {
        Self {
            line: format!("{what}: {reason}"),
            status: NO_COKERNEL,
            wants_descriptors: false,
        }
    }

    /// Makes the error about a command line that makes no sense, which `line` explains.
    pub(crate) fn usage(line: String) -> Self {
        Self {
            line,
            status: USAGE,
            wants_descriptors: false,
        }
    }

    /// Makes the error that Linux has for `what`.
    pub(crate) fn of_linux(what: impl Display, errno: Errno) -> Self {
        Self {
            wants_descriptors: errno == Errno::EMFILE,
            ..Self::cokernel(what, errno.desc())
        }
    }
}

/// The reason why a file cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecError {
    /// The error that `execve` would have had.
    pub errno: Errno,
    /// The cause in words, where the errno does not say it. May be empty.
    pub detail: String,
    /// Whether nothing is wrong, but only Linux can execute it.
    pub is_for_linux: bool,
}

impl ExecError {
    /// `errno` because of `detail`.
    pub(crate) fn new(errno: Errno, detail: impl Into<String>) -> Self {
        Self {
            errno,
            detail: detail.into(),
            is_for_linux: false,
        }
    }

    /// A program that only Linux can execute.
    pub(crate) fn for_linux() -> Self {
        Self {
            is_for_linux: true,
            ..Self::new(Errno::EPERM, "")
        }
    }

    /// A malformed program file.
    pub(crate) fn format(detail: impl Into<String>) -> Self {
        Self::new(Errno::ENOEXEC, detail)
    }

    /// Makes the error about the program named `program`, with the status that a shell would give.
    pub(crate) fn of_program(self, program: impl Display) -> StartError {
        let status = if self.errno == Errno::ENOENT {
            NOT_FOUND
        } else {
            NOT_EXECUTABLE
        };
        StartError {
            line: format!("{program}: {self}"),
            status,
            wants_descriptors: self.errno == Errno::EMFILE,
        }
    }
}

impl From<Errno> for ExecError {
    fn from(errno: Errno) -> Self {
        Self::new(errno, "")
    }
}

impl From<io::Error> for ExecError {
    fn from(error: io::Error) -> Self {
        error
            .raw_os_error()
            .map_or(Errno::EIO, Errno::from_raw)
            .into()
    }
}

impl Display for ExecError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.errno.desc())?;
        if !self.detail.is_empty() {
            write!(formatter, " ({})", self.detail)?;
        }
        Ok(())
    }
}
