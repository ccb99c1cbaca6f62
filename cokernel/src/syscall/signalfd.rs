// SPDX-License-Identifier: GPL-2.0
//! signalfd: Linux makes and serves the descriptor. What it is to show must wait in Linux, even if the
//! program also has a handler for it.

use cokernel_logic::signals::SignalSet;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::proxy_mask;
use crate::syscall::sigaction::SET_BYTES;
use crate::task::current;
use crate::user_memory::read_words;

/// signalfd(2) and signalfd4(2).
pub fn signalfd(frame: &mut UserFrame) -> SyscallResult {
    let [_, set, bytes, ..] = frame.args();
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [set] = read_words(set)?;
    let set = SignalSet(set).without(SignalSet::UNBLOCKABLE);
    let fd = delegate::call_directly(frame.number(), frame.args())?;
    let process = current::process();
    process.proxy_signals.add_read_as_files(set);
    proxy_mask::sync_for_wait(process);
    Ok(fd)
}
