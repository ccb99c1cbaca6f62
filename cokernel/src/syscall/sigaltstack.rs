// SPDX-License-Identifier: GPL-2.0
//! sigaltstack.

use cokernel_logic::signal_stack::{BadStack, SignalStack};

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::task::sched;
use crate::user_memory::{read_words, write_words};

/// sigaltstack(2).
pub fn sigaltstack(frame: &mut UserFrame) -> SyscallResult {
    let [new, old, ..] = frame.args();
    let signals = &sched::current().data.signals;
    let before = signals.stack();
    if new != 0 {
        let wanted = read_words(new)?;
        if before.size != 0 && before.contains(frame.rsp) {
            return Err(Errno::EPERM);
        }
        let stack = SignalStack::from_words(wanted).map_err(|why| match why {
            BadStack::TooSmall => Errno::ENOMEM,
            BadStack::UnknownFlags => Errno::EINVAL,
        })?;
        signals.set_stack(stack);
    }
    if old != 0 {
        write_words(old, &before.words(frame.rsp))?;
    }
    Ok(0)
}
