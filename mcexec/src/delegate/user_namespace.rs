// SPDX-License-Identifier: GPL-2.0
//! `unshare` and `setns` of user namespaces, which Linux allows a process with one thread only
//! (`create_user_ns`, `userns_install`): if the program has one, this process has one for as long as the call
//! takes. The co-kernel has told workers without a thread to end before it asks for such a call.

use nix::errno::Errno;
use nix::libc;

use super::raw::raw;
use super::{queue_server, Program};
use crate::control;
use crate::syscall::Answer;

/// Performs `call`, `unshare` or `setns`.
pub(super) fn perform(program: &Program, call: libc::c_long, args: [u64; 6]) -> Answer {
    let answer = raw(call, args);
    let kinds = if call == libc::SYS_setns {
        args[1]
    } else {
        args[0]
    };
    // `setns` without a kind is for any.
    let may_be_of_users = kinds & u64::from(libc::CLONE_NEWUSER.unsigned_abs()) != 0 || kinds == 0;
    let answer = if may_be_of_users && answer == Err(Errno::EINVAL.into()) {
        control::alone(program.os, program.slots, || raw(call, args))?
    } else {
        answer
    };
    queue_server::note_identity();
    answer
}
