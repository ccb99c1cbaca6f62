// SPDX-License-Identifier: GPL-2.0
//! The process that a file of `/proc` is about.

/// A process, or one thread of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Process id.
    pub pid: i32,
    /// Thread id, if only this thread is meant.
    pub thread: Option<i32>,
}

impl Subject {
    /// Returns the process id by which the co-kernel is asked. It is 0 for the own process, whose
    /// files are known, too.
    pub(super) fn question(self) -> i32 {
        if self.pid == std::process::id().cast_signed() {
            0
        } else {
            self.pid
        }
    }
}
