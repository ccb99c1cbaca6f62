// SPDX-License-Identifier: GPL-2.0
//! Interrupted calls: which begin again, and when. Local calls and workers answer with Linux's
//! internal codes; none of them ever reaches the program.

use crate::arch::UserFrame;
use crate::errno::{self, Errno, RESTART_ALWAYS, RESTART_BLOCK, RESTART_NO_HANDLER, RESTART_SYS};
use crate::ikc;
use crate::task::sched;

/// Bytes of the `syscall` instruction.
const INSTRUCTION_BYTES: u64 = 2;

/// Makes sure that a restart code is looked at before the program sees it.
pub fn note(result: i64) {
    if errno::is_restart_code(result) {
        // The signal that interrupted the worker was sent on before the answer: fetch it.
        ikc::poll();
        sched::current().request_return_work();
    }
}

/// A handler is about to run.
pub fn before_handler(frame: &mut UserFrame, restart_wanted: bool) {
    match code(frame) {
        Some(RESTART_ALWAYS) => rewind(frame),
        Some(RESTART_SYS) if restart_wanted => rewind(frame),
        Some(_) => frame.set_return(Errno::EINTR.negated()),
        None => {}
    }
    frame.orig_rax = u64::MAX;
}

/// No handler runs.
pub fn without_handler(frame: &mut UserFrame) {
    match code(frame) {
        // The rest of a time limit is lost, so waiting again would be wrong.
        Some(RESTART_BLOCK) => frame.set_return(Errno::EINTR.negated()),
        Some(_) => rewind(frame),
        None => {}
    }
}

fn code(frame: &UserFrame) -> Option<i64> {
    let result = i64::from_ne_bytes(frame.rax.to_ne_bytes());
    let restartable = matches!(
        result,
        RESTART_SYS | RESTART_ALWAYS | RESTART_NO_HANDLER | RESTART_BLOCK
    );
    (frame.orig_rax != u64::MAX && restartable).then_some(result)
}

fn rewind(frame: &mut UserFrame) {
    frame.rax = frame.orig_rax;
    frame.rip -= INSTRUCTION_BYTES;
    frame.orig_rax = u64::MAX;
}
