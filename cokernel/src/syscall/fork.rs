// SPDX-License-Identifier: GPL-2.0
//! A child process, for fork, vfork, clone and clone3 (which are in `clone.rs`). The co-kernel's half is
//! prepared here, by the forking thread; then its worker forks, and the worker's child adopts it
//! ([`crate::process::pending_fork`]). So descriptors, process groups, sessions and what wait returns
//! are Linux's own.

use alloc::boxed::Box;
use alloc::sync::Arc;

use cokernel_logic::signals::SignalSet;
use cokernel_logic::syscall::clone::{flag, CloneArgs};
use ihk_ikc::process::op;
use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate::{self, pool};
use crate::errno::{Errno, SyscallResult};
use crate::frames::watermark;
use crate::mm::fork_copy;
use crate::process::pending_fork::{self, PreparedChild};
use crate::process::vfork;
use crate::syscall::rlimit;
use crate::task::accounting::Accounting;
use crate::task::process::{BarrierKinds, Beginning, InitialState, Parts, Process, Release};
use crate::task::rlimits::Limits;
use crate::task::signal::{SignalStack, ThreadSignals};
use crate::task::slots::Slots;
use crate::task::thread::Registers;
use crate::task::{current, sched};
use crate::user_memory::{read_bytes, uint, write_bytes, write_u32};

/// Makes the child `args` describes; its id.
///
/// # Errors
///
/// `EINVAL` for what Linux refuses or is not supported, `ENOMEM`, `EAGAIN`, as fork(2).
pub fn fork(frame: &UserFrame, args: &CloneArgs) -> SyscallResult {
    let process = current::process();
    if args.has(flag::PIDFD) {
        // There is no child if this cannot be told (`copy_process` in kernel/fork.c).
        let mut number = [0; 4];
        read_bytes(args.pidfd, &mut number)?;
        write_bytes(args.pidfd, &number)?;
    }
    // Linux tells the child when its maker ends, which is the worker: it must end with the thread.
    pool::mark_current(false);
    rlimit::report_limits(process);
    let release = args.has(flag::VFORK).then(|| Arc::new(vfork::prepare()));
    let pid = {
        // The layout stays until the worker has forked: mcexec records which parts of its window are
        // read-only, and the child's record must fit the copied areas.
        let _layout = process.space.lock_layout();
        let prepared_child = prepare(process, frame, args, release.clone())?;
        bring_up(process, prepared_child, args)?
    };
    if args.has(flag::PARENT_SETTID) {
        // As in Linux, the child exists whether or not this can be told.
        let _ = write_u32(args.parent_tid, pid);
    }
    if args.has(flag::PIDFD) {
        give_pidfd(pid, args.pidfd);
    }
    if let Some(release) = release {
        vfork::wait(&release, process);
    }
    Ok(u64::from(pid))
}

/// Has the proxy open a descriptor of its child `pid`, whose number goes to `address`. The child exists whether
/// or not this can be told by now.
fn give_pidfd(pid: u32, address: u64) {
    let fd = delegate::ask(number::pidfd_open, [u64::from(pid), 0, 0, 0, 0, 0]);
    if let Ok(fd) = fd {
        let _ = write_u32(address, uint(fd));
    }
}

/// Has the worker fork.
fn bring_up(
    process: &Process,
    prepared_child: PreparedChild,
    args: &CloneArgs,
) -> Result<u32, Errno> {
    let number = pending_fork::put(prepared_child);
    let tid_address = if args.has(flag::CHILD_SETTID) {
        args.child_tid
    } else {
        0
    };
    let namespaces = args.flags & flag::NAMESPACES;
    if args.has(flag::NEWPID) {
        // The proxy has to be alone for that.
        pool::mark_current(true);
    }
    let answer = delegate::call_directly(op::FORK, [number, tid_address, namespaces, 0, 0, 0]);
    if let Some(prepared_child) = pending_fork::take(number, process.handle) {
        prepared_child.discard();
    }
    u32::try_from(answer?).map_err(|_| Errno::EIO)
}

fn prepare(
    process: &Process,
    frame: &UserFrame,
    args: &CloneArgs,
    release: Option<Arc<Release>>,
) -> Result<PreparedChild, Errno> {
    let revoke_array = watermark::alloc_structure().ok_or(Errno::ENOMEM)?;
    let slots = Slots::new().ok_or(Errno::ENOMEM)?;
    let space = if args.has(flag::VM) {
        Ok(fork_copy::share_with_child(process))
    } else {
        fork_copy::copy_address_space(process).map(Arc::new)
    }?;
    let signals = process.signals.inherit();
    let cleared = if args.has(flag::CLEAR_SIGHAND) {
        signals.clear_handlers()
    } else {
        SignalSet::EMPTY
    };
    let parts = Parts {
        slots,
        revoke_array,
        signals,
        proxy_signals: process.proxy_signals.inherit(cleared),
        signal_account: process.signal_account.inherit(),
        limits: Limits::new(process.limits.all()),
        barriers: BarrierKinds::new(process.barriers.registered()),
        accounting: Accounting::of_child(process.pid),
        beginning: Beginning::of_child(Box::new(initial_state(frame, args))),
        release,
    };
    Ok(PreparedChild {
        parent: process.handle,
        space,
        parts,
    })
}

/// The child's main thread: a copy of this one that returns 0.
fn initial_state(frame: &UserFrame, args: &CloneArgs) -> InitialState {
    let me = sched::current();
    let mut frame = *frame;
    frame.set_return(Ok(0));
    if args.stack != 0 {
        frame.rsp = args.stack;
    }
    let mut registers = Registers::of_current();
    if args.has(flag::SETTLS) {
        registers.fs_base = args.tls;
    }
    let signals = ThreadSignals::new(me.data.signals.mask());
    // A child on another stack of the same memory must not share the signal stack.
    let keeps_stack = !args.has(flag::VM) || args.has(flag::VFORK);
    signals.set_stack(if keeps_stack {
        me.data.signals.stack()
    } else {
        SignalStack::DISABLED
    });
    InitialState {
        frame,
        registers,
        signals,
        clear_child_tid: if args.has(flag::CHILD_CLEARTID) {
            args.child_tid
        } else {
            0
        },
        placement: me.data.inherited_placement(),
    }
}
