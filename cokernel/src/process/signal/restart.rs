// SPDX-License-Identifier: GPL-2.0
//! Interrupted calls: which begin again, and when. Local calls and workers answer with Linux's
//! internal codes; none of them ever reaches the program.

use crate::arch::UserFrame;
use crate::errno::{self, Errno, SyscallResult};
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
    match code(frame) {
        Some(Errno::ERESTARTNOINTR) => rewind(frame),
        Some(Errno::ERESTARTSYS) if restart_wanted => rewind(frame),
        Some(_) => frame.set_return(Err(Errno::EINTR)),
        None => {}
    }
    frame.orig_rax = u64::MAX;
}

/// No handler runs.
pub fn without_handler(frame: &mut UserFrame) {
    match code(frame) {
        // The rest of a time limit is lost, so waiting again would be wrong.
        Some(Errno::ERESTART_RESTARTBLOCK) => frame.set_return(Err(Errno::EINTR)),
        Some(_) => rewind(frame),
        None => {}
    }
}

/// The code in the result register of an interrupted call that nobody has looked at yet.
fn code(frame: &UserFrame) -> Option<Errno> {
    let code = errno::decode(frame.rax).err()?;
    (frame.orig_rax != u64::MAX && code.is_restart_code()).then_some(code)
}

fn rewind(frame: &mut UserFrame) {
    frame.rax = frame.orig_rax;
    frame.rip -= INSTRUCTION_BYTES;
    frame.orig_rax = u64::MAX;
}
