// SPDX-License-Identifier: GPL-2.0
//! Delegated calls on the proxy's side: [`worker`] takes them from a slot, [`perform`] does what
//! they ask. Most are performed as they are; each exception has a file here. Which files a call
//! enters, in which order, is on the page `docs/route-of-a-delegated-call.md`; each of them says
//! its hop.

pub(crate) mod directory;
pub(crate) mod execute;
#[expect(unsafe_code, reason = "fork")]
pub(crate) mod fork;
#[expect(unsafe_code, reason = "a word shared with a child, and futexes")]
mod fork_answer;
pub(crate) mod mapping;
pub(crate) mod operation;
mod path_argument;
pub(crate) mod perform;
mod period;
mod placement;
mod poll_budget;
pub(crate) mod pool;
#[expect(unsafe_code, reason = "a queue is memory of the program")]
mod queue_server;
mod raw;
pub(crate) mod transport;
mod transport_copy;
mod user_namespace;
pub(crate) mod worker;

use std::sync::mpsc::SyncSender;

use ihk_ikc::process::VdsoArgs;
use ihk_ikc::slot::Request;

use crate::syscall::Answer;
use crate::window::{Slots, Window};

/// A program, as far as those need to know it who perform its calls.
pub(crate) struct Program {
    /// Number of the instance that the program runs on.
    pub os: u32,
    /// The window that shows the program's memory.
    pub window: Window,
    /// The slots in which the program's threads leave their requests.
    pub slots: Slots,
    /// The places of the program's vdso and of ours.
    pub vdso: VdsoArgs,
    /// The functions that serve the program.
    pub functions: WorkerFunctions,
}

/// The functions with which this process serves a program. A program carries them with it, so the
/// files that make a worker, fork one, or serve a call queue need not know what a worker does. A
/// worker itself calls its functions directly.
#[derive(Clone, Copy)]
pub(crate) struct WorkerFunctions {
    /// Serves the main thread's slot until the process ends.
    pub serve_main: fn(&'static Program) -> !,
    /// Serves the slot of that index until the co-kernel wants the worker to end. If there is a
    /// receiver, it gets the thread id as soon as that is in the slot.
    pub serve: fn(&'static Program, usize, Option<SyncSender<u64>>),
    /// Performs one request.
    pub perform: fn(&'static Program, &Request) -> Answer,
}
