// SPDX-License-Identifier: GPL-2.0
//! A CPU that has nothing to do: it looks for work, here and at other CPUs, clears memory, and sleeps.

use alloc::sync::Arc;

use cokernel_logic::cpu_queue::steal as steal_from;
use cokernel_logic::runqueue::Arrival;

use crate::arch;
use crate::arch::time::{tsc, Deadline};
use crate::frames::{allocator, prezero};
use crate::task::pause::Pause;
use crate::task::sched;
use crate::task::thread::Thread;
use crate::{ikc, kargs};

/// Frames that an idle CPU clears between two looks, in a few microseconds.
const FRAMES_AT_A_TIME: u32 = 4;

/// The loop of a CPU that has nothing to do: it polls for a while, then sleeps until a doorbell.
pub extern "C" fn idle_loop() -> ! {
    let ring = ikc::own_ring();
    let mut pause = Pause::begin(kargs::poll_us());
    loop {
        ikc::beat();
        ring.set_awake();
        let work = poll_for_work(pause.poll_us());
        ring.request_doorbell();
        let is_drained = ikc::drain();
        if work || !is_drained || sched::others_runnable() || steal() {
            let poll_us = pause.end();
            sched::leave_idle();
            pause = Pause::begin(poll_us);
        } else {
            allocator::drain_this_cpu();
            pause.halts();
            arch::wait_for_interrupt();
        }
    }
}

/// Polls queue and ring, and clears free memory meanwhile; as long as there is some to clear, if that
/// takes longer. Whether a thread came.
fn poll_for_work(poll_us: u64) -> bool {
    let queue = sched::queue_of(arch::cpu_index());
    queue.begin_polling();
    let deadline = Deadline::after_us(poll_us);
    let found = loop {
        ikc::poll();
        if sched::others_runnable() || steal() {
            break true;
        }
        let clears = prezero::clear_some(FRAMES_AT_A_TIME);
        if deadline.passed() && !clears {
            break false;
        }
        arch::relax();
    };
    queue.end_polling();
    found
}

/// Takes a thread that waits for another CPU into this CPU's queue. Whether there was one.
fn steal() -> bool {
    let me = arch::cpu_index();
    let others = (0..arch::cpu_count()).filter(|cpu| *cpu != me);
    let queues = others.map(sched::queue_of);
    let mine = |thread: &Arc<Thread>| !thread.run.is_on_cpu() && thread.data.may_run_on(me);
    let stolen = steal_from(queues, mine);
    let is_stolen = stolen.is_some();
    if let Some(thread) = stolen {
        thread.run.set_cpu(me);
        sched::queue_of(me).push(thread, Arrival::Moved, tsc());
    }
    is_stolen
}
