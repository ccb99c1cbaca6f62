// SPDX-License-Identifier: GPL-2.0
//! CPU time: what Linux says of the proxy's time is the time in the system; the program's own is kept
//! here.

use cokernel_logic::argument::NS_PER_S;

use crate::arch::time::ticks_to_ns;
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::SyscallResult;
use crate::task::process::Process;
use crate::task::{current, sched};
use crate::user_memory::{int, read_words, write_words};

const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_SELF: i32 = 0;
/// Nanoseconds of a tick as times(2) counts them.
const NS_PER_TICK: u64 = 10_000_000;
/// Place of `ru_maxrss`, KiB, in the words of Linux's `struct rusage`.
const MAX_RSS: usize = 4;

/// clock_gettime(2): the clocks of CPU time are here, the others Linux's.
pub fn clock_gettime(frame: &mut UserFrame) -> SyscallResult {
    let [clock, result, ..] = frame.args();
    let Some(ns) = cpu_clock(int(clock)) else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    write_words(result, &[ns / NS_PER_S, ns % NS_PER_S])?;
    Ok(0)
}

/// The time of clock `id`, if it counts CPU time of this process or one of its threads.
fn cpu_clock(id: i32) -> Option<u64> {
    /// Kind of a clock with a negative id: bit 2 = of a thread, the lower bits which of its times.
    const OF_THREAD: i32 = 4;
    const SORT: i32 = 3;
    /// No clock of CPU time, but one behind a descriptor.
    const DESCRIPTOR: i32 = 3;
    let process = current::process();
    match id {
        CLOCK_PROCESS_CPUTIME_ID => return Some(process.cpu_ns()),
        CLOCK_THREAD_CPUTIME_ID => return Some(sched::current().data.clock.ns()),
        0.. => return None,
        _ if id & SORT == DESCRIPTOR => return None,
        _ => {}
    }
    let whose = !(id >> 3);
    if id & OF_THREAD == 0 {
        return (whose == 0 || whose == process.pid).then(|| process.cpu_ns());
    }
    let whose = if whose == 0 {
        sched::current().data.tid
    } else {
        whose
    };
    let threads = process.threads();
    let thread = threads.iter().find(|thread| thread.data.tid == whose)?;
    Some(thread.data.clock.ns())
}

/// getrusage(2).
pub fn getrusage(frame: &mut UserFrame) -> SyscallResult {
    let [who, usage, ..] = frame.args();
    let result = delegate::call_directly(frame.number(), frame.args())?;
    let process = current::process();
    let ns = match int(who) {
        RUSAGE_SELF => process.cpu_ns(),
        RUSAGE_CHILDREN => children_ns(process),
        _ => sched::current().data.clock.ns(),
    };
    write_words(usage, &[ns / NS_PER_S, ns % NS_PER_S / 1000])?;
    if int(who) != RUSAGE_CHILDREN {
        let peak = process.space.with(|inner| inner.table.peak_bytes());
        write_words(usage + 8 * MAX_RSS as u64, &[peak / 1024])?;
    }
    Ok(result)
}

/// wait4(2): the time of a child that ended on the co-kernel is known here.
pub fn wait4(frame: &mut UserFrame) -> SyscallResult {
    let [_, _, _, usage, ..] = frame.args();
    let child = delegate::call_directly(frame.number(), frame.args())?;
    if let Some(ticks) = current::process().accounting.take_child(int(child)) {
        let ns = ticks_to_ns(ticks);
        if usage != 0 {
            write_words(usage, &[ns / NS_PER_S, ns % NS_PER_S / 1000])?;
        }
    }
    Ok(child)
}

/// times(2): user time of the process and of its children are the first and third word.
pub fn times(frame: &mut UserFrame) -> SyscallResult {
    let [buffer, ..] = frame.args();
    let result = delegate::call_directly(frame.number(), frame.args())?;
    if buffer != 0 {
        let process = current::process();
        let [_, system, ..] = read_words::<4>(buffer)?;
        let user = process.cpu_ns() / NS_PER_TICK;
        write_words(buffer, &[user, system, children_ns(process) / NS_PER_TICK])?;
    }
    Ok(result)
}

fn children_ns(process: &Process) -> u64 {
    ticks_to_ns(process.accounting.children())
}
