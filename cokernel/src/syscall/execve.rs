// SPDX-License-Identifier: GPL-2.0
//! execve: the worker makes the same call, for which Linux loads mcexec, which brings the program to the
//! co-kernel as a new process with the same id. This process is freed when its window is gone.

use ihk_ikc::process::op;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::accounting;
use crate::syscall::rlimit;
use crate::task::{current, sched};

/// `AT_FDCWD`, as an argument.
const CURRENT_DIRECTORY: u64 = u64::MAX - 99;

/// `AT_EXECVE_CHECK`.
const CHECK: u64 = 0x1_0000;

/// execve(2).
pub fn execve(frame: &mut UserFrame) -> SyscallResult {
    let [path, argv, environment, ..] = frame.args();
    execute([CURRENT_DIRECTORY, path, argv, environment, 0])
}

/// execveat(2).
pub fn execveat(frame: &mut UserFrame) -> SyscallResult {
    let [directory, path, argv, environment, flags, _] = frame.args();
    execute([directory, path, argv, environment, flags])
}

/// Comes back only if it failed, if it only asks whether it would, or if this process is being killed: by its
/// successor.
fn execute([directory, path, argv, environment, flags]: [u64; 5]) -> SyscallResult {
    let signals = &sched::current().data.signals;
    let mask = signals.mask().0;
    let waiting = signals.pending(&current::process().signals).0 & mask;
    if waiting != 0 {
        // Without an answer there will be no exec either.
        let _ = delegate::call_directly(op::BEQUEATH, [waiting, 0, 0, 0, 0, 0]);
    }
    rlimit::report_limits(current::process());
    let placement = sched::current().data.placement();
    accounting::carry_over(current::process(), placement);
    let answer =
        delegate::call_directly(op::EXEC, [directory, path, argv, environment, flags, mask]);
    let only_asks = flags & CHECK != 0;
    if (answer.is_err() || only_asks) && !current::process().is_dying() {
        accounting::cancel_exec(current::process());
    }
    match answer {
        Ok(_) if !only_asks => Err(Errno::EINTR),
        answer => answer,
    }
}
