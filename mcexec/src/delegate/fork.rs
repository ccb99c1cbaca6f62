// SPDX-License-Identifier: GPL-2.0
//! `fork`: when the program forks, this process forks, too, and its child stands for the program's.
//!
//! It calls the C library's fork, which keeps its own locks in order, so that the child may
//! allocate.

use nix::errno::Errno;
use nix::libc;
use nix::sched::{unshare, CloneFlags};
use nix::sys::wait::waitpid;
use nix::unistd::{fork as fork_process, ForkResult, Pid};

use super::fork_answer::ForkAnswer;
use super::Program;
use crate::signals::{interrupt, raw, worker_mask};
use crate::{control, device, gate, procfs, window};

/// The properties of the child of a fork.
#[derive(Clone, Copy)]
pub(super) struct CloneArgs {
    /// The number of the process that the co-kernel has prepared for it.
    pub(super) prepared_child: u64,
    /// Address in the program where the child stores its id, or 0.
    pub(super) tid_address: u64,
    /// The namespaces that it does not share with its parent.
    pub(super) namespaces: CloneFlags,
}

/// Forks this process. Returns the child's id.
///
/// # Errors
///
/// The error is one of fork(2), or one that the child met before it was ready.
pub(super) fn fork(program: &Program, clone: CloneArgs) -> Result<u64, Errno> {
    let answer = ForkAnswer::new()?;
    if !clone.namespaces.contains(CloneFlags::CLONE_NEWPID) {
        // SAFETY: the child calls nothing that needs another thread of this process: the C library
        // keeps its allocator usable, and of our own locks, those that `fork_by` holds are this very
        // thread's; nobody holds another one over a fork.
        return fork_by(program, clone, answer, || unsafe { fork_process() });
    }
    // The first process of a namespace is that from its beginning.
    let made = CloneArgs {
        namespaces: CloneFlags::empty(),
        ..clone
    };
    control::alone(program.os, program.slots, || {
        // SAFETY: this is the only thread.
        fork_by(program, made, answer, || unsafe {
            raw::fork_alone(clone.namespaces)
        })
    })?
}

/// Forks this process by `fork_process`. Returns the child's id.
fn fork_by(
    program: &Program,
    clone: CloneArgs,
    answer: ForkAnswer,
    fork_process: impl FnOnce() -> nix::Result<ForkResult>,
) -> Result<u64, Errno> {
    device::announce_fork(clone.prepared_child)?;
    let mask = raw::set_mask(u64::MAX);
    // The child does not have the slot.
    let told = worker_mask::told();
    let locks = (
        procfs::files::parts(),
        procfs::snapshot::remembered(),
        window::keep_rights(),
    );
    let forked = fork_process();
    drop(locks);
    let result = match forked {
        Ok(ForkResult::Child) => become_child(program, clone, [mask, told], answer),
        Ok(ForkResult::Parent { child }) => hear_of(child, &answer),
        Err(errno) => {
            let _ = device::announce_fork(0);
            Err(errno)
        }
    };
    raw::set_mask(mask);
    result
}

/// Waits until `child` is about to run. A child that could not get so far is reaped.
fn hear_of(child: Pid, answer: &ForkAnswer) -> Result<u64, Errno> {
    answer.hear(child).inspect_err(|_| {
        let _ = waitpid(child, None);
    })?;
    Ok(child.as_raw().unsigned_abs().into())
}

fn become_child(
    program: &Program,
    clone: CloneArgs,
    [mask, told]: [u64; 2],
    answer: ForkAnswer,
) -> ! {
    let settled = settle(program, clone, told);
    answer.tell(settled.as_ref().map(drop).map_err(|errno| *errno));
    drop(answer);
    let Ok(program) = settled else {
        raw::exit(libc::EXIT_FAILURE)
    };
    raw::set_mask(mask);
    if device::start_adopted().is_err() {
        control::cokernel_gone(program.os);
    }
    let program = Box::leak(Box::new(program));
    (program.functions.serve_main)(program)
}

/// Prepares the child up to the point where its program can run; its thread blocks the signals `told`,
/// as far as is known.
fn settle(program: &Program, clone: CloneArgs, told: u64) -> Result<Program, Errno> {
    // While it has one thread only, as Linux wants for some of them.
    unshare(clone.namespaces)?;
    gate::forget_others();
    let slots = device::adopt()?;
    let (window, slots) = window::mapped(program.window.start(), slots)?;
    window.protect_again()?;
    if clone.tid_address != 0 {
        // An address that is not there harms nobody, as in Linux.
        let _ = window::write(clone.tid_address, &std::process::id().to_ne_bytes());
    }
    interrupt::forget_control(None);
    worker_mask::forget_workers();
    worker_mask::begin(&slots[0], told);
    control::spawn(program.os, slots).map_err(|_| Errno::EAGAIN)?;
    Ok(Program {
        os: program.os,
        window,
        slots,
        vdso: program.vdso,
        functions: program.functions,
    })
}
