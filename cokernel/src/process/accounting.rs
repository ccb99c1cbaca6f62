// SPDX-License-Identifier: GPL-2.0
//! CPU time beyond that of a process's own threads: from one program to the next, and from a child to its parent.

use crate::task::ledger::Placement;
use crate::task::process::{self, Process};
use crate::task::thread::Thread;

/// Where `thread` runs and where its pages come from.
pub fn placement_of(thread: &Thread) -> Placement {
    Placement {
        affinity: *thread.data.affinity.lock(),
        policy: *thread.data.policy.lock(),
    }
}

/// `process` is about to execute another program, from a thread with `placement`.
pub fn carry_over(process: &Process, placement: Placement) {
    let ticks = process.cpu_ticks();
    process.ledger.carry_over(process.pid, ticks, placement);
}

/// `process` does not execute another program after all.
pub fn keep(process: &Process) {
    process.ledger.keep(process.pid);
}

/// `process` ends: its parent gets its time, once.
pub fn settle(process: &Process) {
    if !process.ledger.begin_settling() {
        return;
    }
    if let Some(parent) = process::find_by_pid(process.ledger.parent()) {
        let ticks = process.cpu_ticks() + process.ledger.children();
        parent.ledger.add_child(process.pid, ticks);
    }
}
