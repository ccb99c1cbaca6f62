// SPDX-License-Identifier: GPL-2.0
//! clone and clone3: what the flags ask for.

use crate::addr::{to_usize, USER_END};
use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::process::spawn_thread::{self, ThreadArgs};
use crate::syscall::identity::as_value;
use crate::syscall::{clone_flags, fork};
use crate::user_memory::read_bytes;

/// The flags that make a child a thread; the worker that stands for it shares all that with the others.
const THREAD: u64 = clone_flags::VM
    | clone_flags::FS
    | clone_flags::FILES
    | clone_flags::SIGHAND
    | clone_flags::THREAD
    | clone_flags::SYSVSEM;
/// Flags that are allowed for a thread besides. Nobody traces, so the flags about that mean nothing.
const OPTIONAL: u64 = clone_flags::PTRACE
    | clone_flags::SETTLS
    | clone_flags::PARENT_SETTID
    | clone_flags::CHILD_CLEARTID
    | clone_flags::DETACHED
    | clone_flags::UNTRACED
    | clone_flags::CHILD_SETTID;
/// The signal a child sends when it ends lies in the lowest bits of clone's flags; threads send none.
const EXIT_SIGNAL: u64 = 0xff;

/// A request in the form both calls come down to.
struct Request {
    flags: u64,
    exit_signal: u64,
    stack: u64,
    pidfd: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
}

/// clone(2). A descriptor of the child goes where its id would.
pub fn clone(frame: &mut UserFrame) -> SyscallResult {
    let [flags, stack, parent_tid, child_tid, tls, _] = frame.args();
    let request = Request {
        flags: flags & 0xffff_ffff & !EXIT_SIGNAL,
        exit_signal: flags & EXIT_SIGNAL,
        stack,
        pidfd: parent_tid,
        parent_tid,
        child_tid,
        tls,
    };
    if request.flags & clone_flags::PIDFD != 0
        && request.flags & (clone_flags::PARENT_SETTID | clone_flags::DETACHED) != 0
    {
        return Err(Errno::EINVAL);
    }
    perform(frame, &request)
}

/// Words of `struct clone_args` in its first version, which everybody may use.
const WORDS_V0: usize = 8;
/// Words known to Linux: set_tid, set_tid_size, cgroup.
const WORDS: usize = 11;

/// clone3(2).
pub fn clone3(frame: &mut UserFrame) -> SyscallResult {
    let [address, bytes, ..] = frame.args();
    let words = read_args(address, bytes)?;
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_bytes, tls, rest @ ..] =
        words;
    if exit_signal != 0 && flags & clone_flags::THREAD != 0 || (stack == 0) != (stack_bytes == 0) {
        return Err(Errno::EINVAL);
    }
    if rest.iter().any(|word| *word != 0) {
        return Err(Errno::ENOSYS);
    }
    let request = Request {
        flags,
        exit_signal,
        stack: stack.wrapping_add(stack_bytes),
        pidfd,
        parent_tid,
        child_tid,
        tls,
    };
    perform(frame, &request)
}

/// The structure, with zeroes for what its caller does not know of.
fn read_args(address: u64, bytes: u64) -> Result<[u64; WORDS], Errno> {
    if bytes < WORDS_V0 as u64 * 8 {
        return Err(Errno::EINVAL);
    }
    if bytes > WORDS as u64 * 8 {
        return Err(Errno::E2BIG);
    }
    let mut raw = [0; WORDS * 8];
    read_bytes(address, &mut raw[..to_usize(bytes)])?;
    Ok(core::array::from_fn(|word| {
        u64::from_le_bytes(core::array::from_fn(|byte| raw[word * 8 + byte]))
    }))
}

fn perform(frame: &UserFrame, request: &Request) -> SyscallResult {
    check(request.flags)?;
    if request.flags & clone_flags::THREAD == 0 {
        return fork_as(frame, request);
    }
    if request.flags & THREAD != THREAD || request.flags & !(THREAD | OPTIONAL) != 0 {
        return Err(Errno::ENOSYS);
    }
    let given = |flag, value| (request.flags & flag != 0).then_some(value);
    let args = ThreadArgs {
        stack: request.stack,
        thread_pointer: given(clone_flags::SETTLS, request.tls),
        parent_tid: given(clone_flags::PARENT_SETTID, request.parent_tid),
        child_tid: given(clone_flags::CHILD_SETTID, request.child_tid),
        clear_child_tid: given(clone_flags::CHILD_CLEARTID, request.child_tid),
    };
    if args.thread_pointer.is_some_and(|base| base >= USER_END) {
        return Err(Errno::EPERM);
    }
    spawn_thread::spawn(frame, &args).map(as_value)
}

fn fork_as(frame: &UserFrame, request: &Request) -> SyscallResult {
    let args = fork::CloneArgs {
        flags: request.flags,
        exit_signal: request.exit_signal,
        stack: request.stack,
        pidfd: request.pidfd,
        parent_tid: request.parent_tid,
        child_tid: request.child_tid,
        tls: request.tls,
    };
    fork::fork(frame, &args)
}

/// fork(2).
pub fn fork(frame: &mut UserFrame) -> SyscallResult {
    fork::fork(frame, &fork::CloneArgs::plain(0))
}

/// vfork(2).
pub fn vfork(frame: &mut UserFrame) -> SyscallResult {
    fork::fork(
        frame,
        &fork::CloneArgs::plain(clone_flags::VM | clone_flags::VFORK),
    )
}

/// Combinations that make no sense.
fn check(flags: u64) -> Result<(), Errno> {
    let has = |flag| flags & flag != 0;
    let lonely_thread = has(clone_flags::THREAD) && !has(clone_flags::SIGHAND);
    let lonely_handlers = has(clone_flags::SIGHAND) && !has(clone_flags::VM);
    let shared_and_cleared = has(clone_flags::SIGHAND) && has(clone_flags::CLEAR_SIGHAND);
    if lonely_thread || lonely_handlers || shared_and_cleared {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
