// SPDX-License-Identifier: GPL-2.0
//! Resource limits: those on memory are kept here, those on CPU time and queued signals here too, the others are
//! Linux's.

use alloc::sync::Arc;

use cokernel_logic::syscall::rlimit::check_change;
use ihk_ikc::process::op;
use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::{cpu_limits, limits};
use crate::task::current;
use crate::task::process::{self, Process};
use crate::task::rlimits::{AS, CPU, DATA, MEMLOCK, SIGPENDING, STACK};
use crate::user_memory::{int, read_words, write_words};

/// getrlimit(2).
pub fn getrlimit(frame: &mut UserFrame) -> SyscallResult {
    let [resource, old, ..] = frame.args();
    limit(0, resource, 0, old)
}

/// setrlimit(2).
pub fn setrlimit(frame: &mut UserFrame) -> SyscallResult {
    let [resource, new, ..] = frame.args();
    if new == 0 {
        return Err(Errno::EFAULT);
    }
    limit(0, resource, new, 0)
}

/// prlimit64(2).
pub fn prlimit64(frame: &mut UserFrame) -> SyscallResult {
    let [pid, resource, new, old, ..] = frame.args();
    limit(pid, resource, new, old)
}

fn limit(pid: u64, resource: u64, new: u64, old: u64) -> SyscallResult {
    let kept = usize::try_from(resource)
        .ok()
        .filter(|number| matches!(*number, DATA | STACK | MEMLOCK | AS));
    let counted = [CPU, SIGPENDING];
    let mut counted = counted.into_iter().filter(|_| new != 0);
    if let Some(number) = counted.find(|number| *number as u64 == resource) {
        return limit_counted(pid, number, new, old);
    }
    let target = kept.and_then(|number| Some((number, whose(int(pid))?)));
    let Some((number, process)) = target else {
        return delegate::call_directly(number::prlimit64, [pid, resource, new, old, 0, 0]);
    };
    let is_own = Arc::ptr_eq(&process, current::process());
    if !is_own {
        // Whether the caller may look at the other one, and change it, Linux says of their proxies.
        delegate::call_directly(number::prlimit64, [pid, resource, 0, 0, 0, 0])?;
    }
    let wanted = match new {
        0 => None,
        address => Some(read_words::<2>(address)?),
    };
    let before = process.limits.get(number);
    if let Some(wanted) = wanted {
        set(&process, number, before, wanted)?;
        process.limits.note_untold(number);
        if is_own {
            report_limits(&process);
        }
    }
    if old != 0 {
        write_words(old, &before)?;
    }
    Ok(0)
}

/// A new limit of CPU time or queued signals. Linux has the say, and counts what the proxy uses; the co-kernel
/// counts the program's own time ([`crate::process::cpu_limits`]) and what waits here.
fn limit_counted(pid: u64, number: usize, new: u64, old: u64) -> SyscallResult {
    let wanted = read_words::<2>(new)?;
    // Linux reads the words again: another thread may have changed them.
    let raises = |process: &Process| wanted[1] > process.limits.get(number)[1];
    if whose(int(pid)).is_some_and(|process| raises(&process)) && !limits::is_root() {
        return Err(Errno::EPERM);
    }
    delegate::call_directly(number::prlimit64, [pid, number as u64, new, old, 0, 0])?;
    if let Some(process) = whose(int(pid)) {
        process.limits.set(number, wanted);
        if number == CPU {
            cpu_limits::limit(&process, wanted);
        }
    }
    Ok(0)
}

/// The process of the co-kernel with id `pid`; 0 = the caller's.
fn whose(pid: i32) -> Option<Arc<Process>> {
    let own = current::process();
    if pid == 0 || pid == own.pid {
        Some(own.clone())
    } else {
        process::find_by_pid(pid)
    }
}

/// Tells the proxy of `process`, the current one, the limits that it does not know: a program that
/// it executes starts with them.
pub fn report_limits(process: &Process) {
    for number in process.limits.take_untold() {
        let [soft, hard] = process.limits.get(number);
        // The proxy can store a few words.
        let _ = delegate::call_directly(op::LIMIT, [number as u64, soft, hard, 0, 0, 0]);
    }
}

fn set(process: &Process, number: usize, before: [u64; 2], wanted: [u64; 2]) -> Result<(), Errno> {
    check_change(before, wanted, limits::is_root)?;
    process.limits.set(number, wanted);
    process.space.with(|inner| match number {
        STACK => inner.stack_limit = wanted[0],
        AS => inner.space_limit = wanted[0],
        _ => {}
    });
    Ok(())
}
