// SPDX-License-Identifier: GPL-2.0
//! sigaltstack.

use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::frame::stack_flags;
use crate::task::sched;
use crate::task::signal::SignalStack;
use crate::user_memory::{read_words, uint, write_words};

const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SS_AUTODISARM: u32 = 1 << 31;
/// Linux's `MINSIGSTKSZ`.
const SMALLEST: u64 = 2048;

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
        signals.set_stack(decode(wanted)?);
    }
    if old != 0 {
        write_words(
            old,
            &[
                before.start,
                u64::from(stack_flags(&before, frame.rsp)),
                before.size,
            ],
        )?;
    }
    Ok(0)
}

fn decode([start, flags, size]: [u64; 3]) -> Result<SignalStack, Errno> {
    let flags = uint(flags);
    let autodisarm = flags & SS_AUTODISARM != 0;
    match flags & !SS_AUTODISARM {
        SS_DISABLE => Ok(SignalStack {
            autodisarm,
            ..SignalStack::default()
        }),
        0 | SS_ONSTACK if size < SMALLEST => Err(Errno::ENOMEM),
        0 | SS_ONSTACK => Ok(SignalStack {
            start,
            size,
            autodisarm,
        }),
        _ => Err(Errno::EINVAL),
    }
}
