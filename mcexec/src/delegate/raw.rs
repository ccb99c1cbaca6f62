// SPDX-License-Identifier: GPL-2.0
//! Hop 6.2 of a delegated call: the call is made as it is, unless another transport was chosen for
//! its data.

use nix::libc;

use super::transport;
use crate::syscall::{self, Answer};

/// Makes `call` as it is.
pub(super) fn raw(call: libc::c_long, args: [u64; 6]) -> Answer {
    if transport::is_chosen() {
        if let Some(answer) = transport::carry(call, args) {
            return answer;
        }
    }
    syscall::perform(call.cast_unsigned(), args)
}
