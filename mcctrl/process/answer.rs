// SPDX-License-Identifier: GPL-2.0
//! Answers of the co-kernel to mcctrl's questions: from messages to values.

use crate::ffi::errno;
use crate::proto::errno::SyscallResult;
use crate::proto::layout::PAGE_BYTES;
use crate::proto::packet::ToLinux;
use kernel::prelude::*;

/// An answer of the co-kernel; the fields beyond `result` belong to `ProcessCreated`,
/// `slots` to `SlotsFound`, too, `records` and `words` to `Told` and `PagesLent`.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// 0, or the error.
    pub(crate) result: SyscallResult,
    /// Handle of the new process.
    pub(crate) process: u32,
    /// Physical address of its top-level page table.
    pub(crate) root: u64,
    /// Physical address of its slots.
    pub(crate) slots: u64,
    /// Physical address of records.
    pub(crate) records: u64,
    /// Their length in words; pages that are there, for `FileBound`.
    pub(crate) words: u32,
    /// Pages that must be loaded before a fault can end, for `FaultInFile`.
    pub(crate) pages: Option<FilePages>,
}

/// Pages of a file that a program has mapped.
#[derive(Clone, Copy)]
pub(crate) struct FilePages {
    /// Number of the file.
    pub(crate) file: u32,
    /// Number of the first page in the file.
    pub(crate) page: u64,
    /// The address it goes to.
    pub(crate) address: u64,
    /// Their number.
    pub(crate) count: u32,
    /// The index of the touched one.
    pub(crate) touched: u32,
}

impl FilePages {
    /// The touched one without its neighbours.
    pub(crate) fn only_touched(&self) -> Self {
        let before = u64::from(self.touched);
        Self {
            file: self.file,
            page: self.page.saturating_add(before),
            address: self.address.saturating_add(before * PAGE_BYTES),
            count: 1,
            touched: 0,
        }
    }
}

impl Answer {
    /// The answer that says no more than `result`.
    pub(crate) const fn of_result(result: SyscallResult) -> Self {
        Self {
            result,
            process: 0,
            root: 0,
            slots: 0,
            records: 0,
            words: 0,
            pages: None,
        }
    }

    /// The answer that `message` is, and the question's token; `None` if it is none. One arm for each
    /// message, in one place: a new one does not compile before it is here.
    pub(crate) fn of(message: &ToLinux) -> Option<(u64, Self)> {
        let none = Self::of_result(Ok(0));
        Some(match *message {
            ToLinux::ProcessCreated {
                token,
                result,
                process,
                root,
                slots,
            } => {
                let answer = Self {
                    result,
                    process,
                    root,
                    slots,
                    ..none
                };
                (token, answer)
            }
            ToLinux::FaultResolved { token, result }
            | ToLinux::PagesTaken { token, result }
            | ToLinux::Scheduled { token, result } => (token, Self::of_result(result)),
            ToLinux::SlotsFound {
                token,
                result,
                slots,
            } => {
                let answer = Self {
                    result,
                    slots,
                    ..none
                };
                (token, answer)
            }
            ToLinux::Told {
                token,
                result,
                records,
                words,
            }
            | ToLinux::PagesLent {
                token,
                result,
                list: records,
                count: words,
            } => {
                let answer = Self {
                    result,
                    records,
                    words,
                    ..none
                };
                (token, answer)
            }
            ToLinux::FileBound {
                token,
                result,
                count: words,
            } => {
                let answer = Self {
                    result,
                    words,
                    ..none
                };
                (token, answer)
            }
            ToLinux::FaultInFile {
                token,
                file,
                page,
                address,
                count,
                touched,
            } => {
                let pages = Some(FilePages {
                    file,
                    page,
                    address,
                    count,
                    touched,
                });
                (token, Self { pages, ..none })
            }
            ToLinux::WakeWorker { .. }
            | ToLinux::CancelCall { .. }
            | ToLinux::Revoke { .. }
            | ToLinux::MirrorDropped { .. }
            | ToLinux::ForgetFile { .. }
            | ToLinux::KillProxy { .. }
            | ToLinux::ProcessFreed { .. }
            | ToLinux::StateChanged { .. } => return None,
        })
    }

    /// The result as one of Linux's; a value that is not 0 counts as EPROTO.
    pub(crate) fn into_result(self) -> Result {
        match self.result {
            Ok(0) => Ok(()),
            Ok(_) => Err(errno::protocol()),
            Err(errno) => Err(Error::from_errno(errno.negated())),
        }
    }
}
