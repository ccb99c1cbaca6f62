// SPDX-License-Identifier: GPL-2.0
//! Hops 5 and 8 of a delegated call: a worker takes the request from its thread's slot, and puts
//! the answer there.
//!
//! It waits first by polling the slot, then asleep in mcctrl.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use ihk_ikc::process::op;
use ihk_ikc::slot::{DelegationSlot, Request, Wake};
use nix::errno::Errno;
use nix::sched::sched_getcpu;
use nix::unistd::gettid;

use super::poll_budget::PollBudget;
use super::{perform, placement, pool, Program, WorkerFunctions};
use crate::signals::{own_slot, worker_mask};
use crate::{control, device, gate};

/// The functions that serve every program of this process.
pub(crate) const FUNCTIONS: WorkerFunctions = WorkerFunctions {
    serve_main,
    serve,
    perform: perform::perform,
};

/// Serves the main thread's slot until the process ends.
pub(crate) fn serve_main(program: &'static Program) -> ! {
    let slot = begin(program, 0);
    let mut budget = PollBudget::of_first();
    loop {
        serve_one(program, 0, slot, &mut budget);
    }
}

/// Serves slot `index` until the co-kernel wants it to end. `began` gets the thread id when it is
/// in the slot.
fn serve(program: &'static Program, index: usize, began: Option<SyncSender<u64>>) {
    let slot = begin(program, index);
    if let Some(began) = began {
        // The receiver waits for this.
        let _ = began.send(gettid().as_raw().unsigned_abs().into());
    }
    let mut budget = PollBudget::new();
    while serve_one(program, index, slot, &mut budget) {}
    worker_mask::set_worker(index, 0);
    placement::end();
    // The slot may have another worker as soon as this is seen.
    slot.worker_tid.store(0, Ordering::Release);
}

/// Makes this thread the worker of slot `index`, and puts its thread id there. Returns the slot.
fn begin(program: &'static Program, index: usize) -> &'static DelegationSlot {
    gate::enter();
    let slot = &program.slots[index];
    let tid = gettid().as_raw();
    own_slot::set_own_slot(index, slot);
    if index == 0 {
        placement::begin_alone();
    } else {
        placement::begin();
    }
    worker_mask::set_worker(index, tid);
    worker_mask::enter_idle();
    slot.worker_tid.store(tid.unsigned_abs(), Ordering::Release);
    slot
}

/// Waits for a request and answers it. Returns whether more may come.
fn serve_one(
    program: &'static Program,
    index: usize,
    slot: &DelegationSlot,
    budget: &mut PollBudget,
) -> bool {
    let request = next(program, index, slot, budget);
    worker_mask::enter_call(slot);
    placement::follow(slot);
    let ends = request.number == op::WORKER_EXIT && index != 0;
    let answer = if ends {
        Ok(0)
    } else {
        perform::perform(program, &request)
    };
    if slot.finish(answer.map_err(Into::into)) == Wake::Ring {
        // A co-kernel that is gone is noticed by the next wait.
        let _ = device::ring(index);
    }
    if request.number == op::NEW_WORKER && answer.is_ok() {
        pool::prepare(program, &request.args[1..]);
    }
    !ends
}

/// Returns the next request.
fn next(
    program: &Program,
    index: usize,
    slot: &DelegationSlot,
    budget: &mut PollBudget,
) -> Request {
    loop {
        if let Some(request) = budget.poll(slot) {
            return request;
        }
        worker_mask::enter_idle();
        slot.sleeping_cpu.store(current_cpu(), Ordering::Relaxed);
        if !slot.set_asleep() {
            continue;
        }
        match budget.asleep(|limit| device::wait(index, limit)) {
            Ok(()) | Err(Errno::EINTR) => {}
            Err(_) => control::cokernel_gone(program.os),
        }
        slot.clear_asleep();
    }
}

fn current_cpu() -> u32 {
    sched_getcpu()
        .ok()
        .and_then(|cpu| cpu.try_into().ok())
        .unwrap_or(0)
}
