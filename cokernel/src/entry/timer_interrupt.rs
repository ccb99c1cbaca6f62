// SPDX-License-Identifier: GPL-2.0
//! The timer's interrupt: who waited for this time is woken.

use crate::arch::time;
use crate::failure;
use crate::ikc;
use crate::process::cpu_limits;
use crate::task::{sched, timer};

/// The timer fired on this CPU.
pub fn interrupt() {
    failure::in_timer();
    let now = time::now_ns();
    let due = timer::take_due(now);
    if due.slice {
        sched::request_resched();
    }
    while let Some(thread) = timer::pop_due(now) {
        sched::wake(&thread);
    }
    if due.look {
        cpu_limits::look();
    }
    ikc::resume();
}
