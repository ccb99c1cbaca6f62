// SPDX-License-Identifier: GPL-2.0
//! Interrupted calls: which begin again, and when. Local calls and workers answer with Linux's
//! internal codes; none of them ever reaches the program.

use cokernel_logic::syscall::signal::{outcome, Handler, Outcome};

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::ikc;
use crate::task::sched;

/// Bytes of the `syscall` instruction.
const INSTRUCTION_BYTES: u64 = 2;

/// Makes sure that a restart code is looked at before the program sees it.
pub fn note(answer: SyscallResult) {
    if answer.is_err_and(Errno::is_restart_code) {
        // The signal that interrupted the worker was sent on before the answer: fetch it.
        ikc::poll();
        sched::current().request_return_work();
    }
}

/// A handler is about to run.
pub fn before_handler(frame: &mut UserFrame, restart_wanted: bool) {
    let handler = if restart_wanted {
        Handler::Restarts
    } else {
        Handler::Ends
    };
    conclude(frame, handler);
    frame.orig_rax = u64::MAX;
}

/// No handler runs.
pub fn without_handler(frame: &mut UserFrame) {
    conclude(frame, Handler::None);
}

/// Ends the call that was interrupted, if nobody has done so yet.
fn conclude(frame: &mut UserFrame, handler: Handler) {
    if frame.orig_rax == u64::MAX {
        return;
    }
    match outcome(frame.rax, handler) {
        Outcome::Done => {}
        Outcome::Again => rewind(frame),
        Outcome::Interrupted => frame.set_return(Err(Errno::EINTR)),
    }
}

fn rewind(frame: &mut UserFrame) {
    frame.rax = frame.orig_rax;
    frame.rip -= INSTRUCTION_BYTES;
    frame.orig_rax = u64::MAX;
}
