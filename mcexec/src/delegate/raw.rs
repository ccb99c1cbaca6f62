// SPDX-License-Identifier: GPL-2.0
//! Hop 6.3 of a delegated call: the call is made as it is, unless another transport was chosen for
//! its data.

use nix::libc;

use super::transport;
use crate::syscall;

/// Makes `call` as it is. Returns its result or a negative errno.
pub(super) fn raw(call: libc::c_long, args: [u64; 6]) -> i64 {
    if transport::is_chosen() {
        if let Some(result) = transport::carry(call, args) {
            return result;
        }
    }
    syscall::perform(call.cast_unsigned(), args)
}
