// SPDX-License-Identifier: GPL-2.0
//! Resource limits: those on memory are kept here, those on CPU time and queued signals here too, the others are
//! Linux's. Whether others may be changed, and hard limits raised, Linux's kernel says, which keeps all hard limits.

use alloc::sync::Arc;

use cokernel_logic::syscall::rlimit::{check_change, Change};
use ihk_ikc::process::{op, right};
use ihk_ikc::syscalls::number;

use crate::addr::count_of;
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::cpu_limits;
use crate::process::rights::{self, Question};
use crate::task::current;
use crate::task::process::Process;
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
    let elsewhere = || delegate::call_directly(number::prlimit64, [pid, resource, new, old, 0, 0]);
    let is_kept = |number: &usize| match *number {
        DATA | STACK | MEMLOCK | AS => true,
        // Linux has these, too, and tells what they are.
        CPU | SIGPENDING => new != 0,
        _ => false,
    };
    let Some(number) = usize::try_from(resource).ok().filter(is_kept) else {
        return elsewhere();
    };
    let wanted = match new {
        0 => None,
        address => Some(read_words::<2>(address)?),
    };
    let Some(process) = permitted(int(pid), number, wanted)? else {
        return elsewhere();
    };
    let before = process.limits.get(number);
    let is_linuxs = matches!(number, CPU | SIGPENDING);
    if is_linuxs {
        elsewhere()?;
    }
    if let Some(wanted) = wanted {
        set(&process, number, wanted);
    }
    if !is_linuxs && old != 0 {
        write_words(old, &before)?;
    }
    Ok(0)
}

/// The process that `pid` means, if Linux permits that its limit `number` is seen, or becomes `wanted`; `None` if
/// it does not run here.
fn permitted(
    pid: i32,
    number: usize,
    wanted: Option<[u64; 2]>,
) -> Result<Option<Arc<Process>>, Errno> {
    let own = current::process();
    let is_own = pid == 0 || pid == own.pid;
    let question = Question {
        what: if wanted.is_some() {
            right::SET_LIMIT
        } else {
            right::SEE_LIMIT
        },
        number: count_of(number),
        id: pid,
        limit: wanted.unwrap_or_default(),
    };
    if !is_own {
        return rights::ask(question).map(|subject| subject.process());
    }
    if let Some(wanted) = wanted {
        if check_change(own.limits.get(number), wanted)? == Change::OfHardLimit {
            rights::ask(question)?;
        }
    }
    Ok(Some(own.clone()))
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

fn set(process: &Process, number: usize, wanted: [u64; 2]) {
    process.limits.set(number, wanted);
    match number {
        CPU => return cpu_limits::limit(process, wanted),
        SIGPENDING => return,
        _ => {}
    }
    process.space.with(|inner| match number {
        STACK => inner.stack_limit = wanted[0],
        AS => inner.space_limit = wanted[0],
        _ => {}
    });
    process.limits.note_untold(number);
    if process.handle == current::process().handle {
        report_limits(process);
    }
}
