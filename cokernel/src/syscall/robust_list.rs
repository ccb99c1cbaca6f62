// SPDX-License-Identifier: GPL-2.0
//! The list of robust futexes. Linux must never hear of it: it would walk the list when the worker
//! exits.

use core::sync::atomic::Ordering;

use super::errno::{Errno, SyscallResult};
use super::user::{int, write_words};
use crate::arch::UserFrame;
use crate::task::{process, sched};

/// Size of Linux's `struct robust_list_head`.
const HEAD_BYTES: u64 = 24;

/// set_robust_list(2).
pub fn set_robust_list(frame: &mut UserFrame) -> SyscallResult {
    let [head, bytes, ..] = frame.args();
    if bytes != HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    sched::current()
        .data
        .robust_list
        .store(head, Ordering::Relaxed);
    Ok(0)
}

/// get_robust_list(2), of the program's own threads.
pub fn get_robust_list(frame: &mut UserFrame) -> SyscallResult {
    let [tid, head, bytes, ..] = frame.args();
    let tid = match int(tid) {
        0 => sched::current().data.tid,
        tid => tid,
    };
    let threads = process::current().threads();
    let thread = threads
        .iter()
        .find(|thread| thread.data.tid == tid)
        .ok_or(Errno::ESRCH)?;
    write_words(bytes, &[HEAD_BYTES])?;
    write_words(head, &[thread.data.robust_list.load(Ordering::Relaxed)])?;
    Ok(0)
}
