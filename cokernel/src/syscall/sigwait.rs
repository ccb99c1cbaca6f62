// SPDX-License-Identifier: GPL-2.0
//! rt_sigtimedwait: taking signals without a handler.

use alloc::vec;
use alloc::vec::Vec;

use cokernel_logic::argument::timespec;
use cokernel_logic::signals::SignalSet;
use ihk_ikc::process::op;

use crate::arch::{time, UserFrame};
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::syscall::sigaction::{await_from_proxy, SET_BYTES};
use crate::task::process::Process;
use crate::task::signal::{Info, RESERVED};
use crate::task::thread::Thread;
use crate::task::{current, sched};
use crate::user_memory::{read_words, write_bytes};

/// Size of Linux's `siginfo_t`.
const INFO_BYTES: usize = 128;

/// rt_sigtimedwait(2).
pub fn rt_sigtimedwait(frame: &mut UserFrame) -> SyscallResult {
    let [set, info, timeout, bytes, ..] = frame.args();
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [set] = read_words(set)?;
    let set = SignalSet(set).without(SignalSet::UNBLOCKABLE);
    let deadline_ns = match timeout {
        0 => None,
        address => Some(time::now_ns().saturating_add(timespec(read_words(address)?)?)),
    };
    let thread = sched::current();
    if let Some(signal) = kept_by_linux(thread, current::process(), set, info)? {
        return Ok(signal);
    }
    await_from_proxy(current::process(), set);
    thread.data.signals.set_awaited(set);
    let taken = wait(thread, current::process(), set, deadline_ns);
    thread.data.signals.set_awaited(SignalSet::EMPTY);
    let taken = taken?;
    current::process().cpu_timers.note_taken(&taken);
    if info != 0 {
        write_bytes(info, &encode(&taken))?;
    }
    Ok(u64::from(taken.signal))
}

/// Takes one of `set` that waits in Linux: for the process, or for the worker, one of whose calls
/// brought it about. None is looked for if one waits here.
fn kept_by_linux(
    thread: &Thread,
    process: &Process,
    set: SignalSet,
    info: u64,
) -> Result<Option<u64>, Errno> {
    let signals = &thread.data.signals;
    let blocked = SignalSet(set.0 & signals.mask().0).without(RESERVED);
    if blocked.is_empty() || set.0 & signals.pending(&process.signals).0 != 0 {
        return Ok(None);
    }
    match delegate::call_directly(op::TAKE_SIGNAL, [blocked.0, info, 0, 0, 0, 0]) {
        Ok(signal @ 1..) => Ok(Some(signal)),
        Err(Errno::EFAULT) => Err(Errno::EFAULT),
        _ => Ok(None),
    }
}

fn wait(
    thread: &Thread,
    process: &Process,
    set: SignalSet,
    deadline_ns: Option<u64>,
) -> Result<Info, Errno> {
    let signals = &thread.data.signals;
    loop {
        sched::prepare_to_block();
        let taken = signals.take_of(&process.signals, set);
        let late = deadline_ns.is_some_and(|deadline| time::now_ns() >= deadline);
        if taken.is_some()
            || late
            || process.is_dying()
            // To stop and to continue ends this wait, see signal(7).
            || process.lifetime.is_frozen()
            || signals.has_deliverable(&process.signals)
        {
            sched::cancel_block();
            let missed = if late { Errno::EAGAIN } else { Errno::EINTR };
            return taken
                .ok_or(missed)
                .inspect_err(|_| thread.request_return_work());
        }
        sched::block_prepared(deadline_ns);
    }
}

/// Returns `info` in the layout of Linux's `siginfo_t`.
fn encode(info: &Info) -> Vec<u8> {
    let mut bytes = vec![0; INFO_BYTES];
    bytes[..4].copy_from_slice(&info.signal.to_le_bytes());
    bytes[4..8].copy_from_slice(&info.errno.to_le_bytes());
    bytes[8..12].copy_from_slice(&info.code.to_le_bytes());
    bytes[16..24].copy_from_slice(&info.first.to_le_bytes());
    bytes[24..32].copy_from_slice(&info.second.to_le_bytes());
    bytes
}
