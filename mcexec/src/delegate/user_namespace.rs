// SPDX-License-Identifier: GPL-2.0
//! `unshare` and `setns` of user namespaces, which Linux allows a process with one thread only: if the program
//! has one, this process has one for as long as the call takes.
//!
//! The co-kernel has told workers without a thread to end, and the control thread ends for the call and
//! begins anew with the credentials that this thread has then (`create_user_ns` of Linux). Nothing is lost
//! meanwhile: signals of the process wait until there is a control thread again, and so does news of mcctrl's.

use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::raw::raw;
use super::{queue_server, Program};
use crate::control;
use crate::syscall::Answer;

/// As often is the call tried while other threads end.
const TRIES: u32 = 100;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(1);

/// Performs `call`, `unshare` or `setns`.
pub(super) fn perform(program: &Program, call: libc::c_long, args: [u64; 6]) -> Answer {
    let answer = raw(call, args);
    let wanted = if call == libc::SYS_setns {
        args[1]
    } else {
        args[0]
    };
    // A namespace of any kind will do for `setns` without a kind.
    let is_of_users = wanted & libc::CLONE_NEWUSER.unsigned_abs() as u64 != 0
        || call == libc::SYS_setns && wanted == 0;
    let answer = if is_of_users && answer == refused() {
        control::without(program.os, program.slots, || retry(call, args))
    } else {
        answer
    };
    queue_server::note_identity();
    answer
}

/// Linux's answer to a process with several threads.
fn refused() -> Answer {
    Err(Errno::EINVAL.into())
}

/// Tries the call until this thread is the only one, or for a tenth of a second: then the program has
/// others, or Linux refuses it for another reason.
fn retry(call: libc::c_long, args: [u64; 6]) -> Answer {
    for _ in 0..TRIES {
        match raw(call, args) {
            answer if answer == refused() => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    raw(call, args)
}
