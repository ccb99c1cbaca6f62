// SPDX-License-Identifier: GPL-2.0
//! A further thread of the current process.

use alloc::sync::Arc;

use crate::arch::{uaccess, UserFrame};
use crate::delegate::pool;
use crate::errno::Errno;
use crate::process::signal::proxy_mask;
use crate::task::process::Process;
use crate::task::signal::{SignalStack, ThreadSignals};
use crate::task::thread::{NewThread, Registers, Thread};
use crate::task::thread_data::ThreadData;
use crate::task::{current, sched};

/// The properties in which the new thread differs from the one that makes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadArgs {
    /// Stack pointer; 0 = the same.
    pub stack: u64,
    /// FS base.
    pub thread_pointer: Option<u64>,
    /// Its id goes there before the call returns.
    pub parent_tid: Option<u64>,
    /// Its id goes there before it runs.
    pub child_tid: Option<u64>,
    /// Zeroed and woken as a futex when it ends.
    pub clear_child_tid: Option<u64>,
}

/// Makes a thread that goes on where `frame` does, with 0 as result; its id.
///
/// # Errors
///
/// `EAGAIN`: too many threads, here or on Linux; `ENOMEM`; `EINTR` if the process is being killed.
pub fn spawn(frame: &UserFrame, args: &ThreadArgs) -> Result<i32, Errno> {
    let process = current::process();
    let (slot, tid) = pool::assign_worker(process)?;
    let made = make(process, slot, tid, entry(frame, args), args);
    let thread = made.inspect_err(|_| pool::give_back(process, slot))?;
    for address in [args.parent_tid, args.child_tid].into_iter().flatten() {
        // As on Linux, a bad address is the program's loss.
        let _ = uaccess::write(address, &tid);
    }
    let entered = process.lifetime.enter(&thread);
    entered.inspect_err(|_| pool::give_back(process, slot))?;
    sched::wake(&thread);
    Ok(tid)
}

fn make(
    process: &Arc<Process>,
    slot: u32,
    tid: i32,
    entry: UserFrame,
    args: &ThreadArgs,
) -> Result<Arc<Thread>, Errno> {
    let me = sched::current();
    let signals = ThreadSignals::new(me.data.signals.mask());
    signals.set_stack(SignalStack::DISABLED);
    let data = ThreadData::new(
        tid,
        signals,
        args.clear_child_tid.unwrap_or(0),
        me.data.inherited_placement(),
    );
    let mut registers = Registers::of_current();
    registers.fs_base = args.thread_pointer.unwrap_or(registers.fs_base);
    let new = NewThread {
        process: process.clone(),
        space: process.space.hardware.clone(),
        slot,
        cpu: sched::least_loaded(data.affinity()),
        entry,
        registers,
        data,
    };
    let mask = new.data.signals.mask();
    let thread = sched::new_thread(new).ok_or(Errno::ENOMEM)?;
    if !proxy_mask::is_told(process, slot, mask) {
        thread.request_return_work();
    }
    Ok(thread)
}

/// The registers with which it begins.
fn entry(frame: &UserFrame, args: &ThreadArgs) -> UserFrame {
    let mut entry = *frame;
    entry.set_return(Ok(0));
    entry.orig_rax = u64::MAX;
    if args.stack != 0 {
        entry.rsp = args.stack;
    }
    entry
}
