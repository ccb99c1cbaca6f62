// SPDX-License-Identifier: GPL-2.0
//! The list of robust futexes. Linux hears of it only if the program shares memory with Linux's
//! programs: it walks the list when the worker is killed.

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::futex::robust;
use crate::mm::mirror;
use crate::task::{current, sched};
use crate::user_memory::{int, write_words};

/// Size of Linux's `struct robust_list_head`.
const HEAD_BYTES: u64 = 24;

/// set_robust_list(2).
pub fn set_robust_list(frame: &mut UserFrame) -> SyscallResult {
    let [head, bytes, ..] = frame.args();
    if bytes != HEAD_BYTES {
        return Err(Errno::EINVAL);
    }
    let thread = sched::current();
    let was_told = thread.data.robust_list.set_head(head);
    let space = &current::process().space;
    let shares = || space.with(|inner| inner.areas.iter().any(|area| mirror::is_mirrored(&area)));
    if was_told || shares() {
        robust::tell_linux(thread);
    }
    Ok(0)
}

/// get_robust_list(2), of the program's own threads.
pub fn get_robust_list(frame: &mut UserFrame) -> SyscallResult {
    let [tid, head, bytes, ..] = frame.args();
    let tid = match int(tid) {
        0 => sched::current().data.tid,
        tid => tid,
    };
    let threads = current::process().threads();
    let thread = threads
        .iter()
        .find(|thread| thread.data.tid == tid)
        .ok_or(Errno::ESRCH)?;
    write_words(bytes, &[HEAD_BYTES])?;
    write_words(head, &[thread.data.robust_list.head()])?;
    Ok(0)
}
