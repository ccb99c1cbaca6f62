// SPDX-License-Identifier: GPL-2.0
//! CPU time: what Linux says of the proxy's time is the time in the system; the program's own is kept
//! here.

use cokernel_logic::argument::{as_timespec, NS_PER_S};
use cokernel_logic::posix_timers::CpuClock;

use crate::arch::time::ticks_to_ns;
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::SyscallResult;
use crate::process::cpu_limits;
use crate::task::process::Process;
use crate::task::{current, sched};
use crate::user_memory::{int, read_words, write_words};

const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_SELF: i32 = 0;
/// Nanoseconds of a tick as times(2) counts them.
const NS_PER_TICK: u64 = 10_000_000;
/// Place of `ru_maxrss`, KiB, in the words of Linux's `struct rusage`.
const MAX_RSS: usize = 4;

/// clock_gettime(2): the clocks of CPU time are here, the others Linux's.
pub fn clock_gettime(frame: &mut UserFrame) -> SyscallResult {
    let [clock, result, ..] = frame.args();
    let clock = cpu_clock(int(clock));
    let Some(ns) = clock.and_then(|clock| cpu_limits::now(current::process(), clock)) else {
        return delegate::call_directly(frame.number(), frame.args());
    };
    write_words(result, &as_timespec(ns))?;
    Ok(0)
}

/// Clock `id`, if it counts CPU time of this process or of one of its threads.
pub fn cpu_clock(id: i32) -> Option<CpuClock> {
    let process = current::process();
    let clock = CpuClock::of(id, process.pid, sched::current().data.tid)?;
    cpu_limits::now(process, clock).map(|_| clock)
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
