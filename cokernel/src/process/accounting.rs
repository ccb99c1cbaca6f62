// SPDX-License-Identifier: GPL-2.0
//! CPU time beyond that of a process's own threads: from one program to the next, and from a child to
//! its parent.

use crate::task::exec_carry::Placement;
use crate::task::process::{self, Process};

/// `process` is about to execute another program, from a thread with `placement`.
pub fn carry_over(process: &Process, placement: Placement) {
    let ticks = process.cpu_ticks();
    process.accounting.carry_over(process.pid, ticks, placement);
}

/// Notes that `process` goes on with its program, because exec failed.
pub fn cancel_exec(process: &Process) {
    process.accounting.cancel_exec(process.pid);
}

/// `process` ends: its parent gets its time, once.
pub fn settle(process: &Process) {
    if !process.accounting.begin_settling() {
        return;
    }
    if let Some(parent) = process::find_by_pid(process.accounting.parent()) {
        let ticks = process.cpu_ticks() + process.accounting.children();
        parent.accounting.add_child(process.pid, ticks);
    }
}
