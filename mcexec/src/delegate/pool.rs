// SPDX-License-Identifier: GPL-2.0
//! Workers beyond the first.
//!
//! A new worker is always made by the worker of the thread that wants it. So it inherits what a new
//! thread of the program would inherit: credentials, priority, name, blocked signals.
//!
//! A worker whose thread has ended stays asleep in its slot, and serves another thread there later;
//! the co-kernel decides who ends for good.

use std::sync::mpsc::{sync_channel, SyncSender};
use std::thread;

use nix::errno::Errno;

use super::Program;
use crate::signals::{raw, worker_mask};

/// Stack of a worker. Performing calls needs little of it, but a signal handler may run on top.
const STACK_BYTES: usize = 128 << 10;

/// Starts a worker for slot `index`. Returns its thread id.
///
/// # Errors
///
/// `EINVAL` for no slot, or for one whose worker stays for good; `EAGAIN` if Linux has no room for
/// a thread.
pub(super) fn start(program: &'static Program, index: u64) -> Result<u64, Errno> {
    let index = checked(program, index)?;
    let (began, hear) = sync_channel(1);
    spawn(program, index, Some(began))?;
    hear.recv().map_err(|_| Errno::EAGAIN)
}

/// Starts workers for `slots`, so that the next threads find theirs waiting. A worker that cannot
/// be started is not missed, because the co-kernel uses a slot only when its worker is there.
pub(super) fn prepare(program: &'static Program, slots: &[u64]) {
    for index in slots.iter().copied().filter(|index| *index != 0) {
        let started = checked(program, index).and_then(|index| spawn(program, index, None));
        if started.is_err() {
            break;
        }
    }
}

fn checked(program: &Program, index: u64) -> Result<usize, Errno> {
    usize::try_from(index)
        .ok()
        .filter(|index| (1..program.slots.len()).contains(index))
        .ok_or(Errno::EINVAL)
}

fn spawn(
    program: &'static Program,
    index: usize,
    began: Option<SyncSender<u64>>,
) -> Result<(), Errno> {
    if let Some(slot) = program.slots.get(index) {
        worker_mask::begin(slot, worker_mask::told());
    }
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    let body = move || (program.functions.serve)(program, index, began);
    raw::with_all_blocked(|| builder.spawn(body))?
        .map(drop)
        .map_err(|_| Errno::EAGAIN)
}
