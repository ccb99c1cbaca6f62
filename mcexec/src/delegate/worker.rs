// SPDX-License-Identifier: GPL-2.0
//! Waits for requests in a slot: first by looking, then asleep in mcctrl.

use std::hint::spin_loop;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ihk_ikc::slot::{DelegationSlot, Request, Wake};
use nix::errno::Errno;
use nix::sched::sched_getcpu;
use nix::unistd::gettid;

use super::{perform, Program};
use crate::{control, device};

/// How long an idle worker looks before it sleeps: about the price of one wake-up.
const LOOK_FOR: Duration = Duration::from_micros(50);
/// Looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 64;

/// Serves slot `index` until the process ends.
pub(crate) fn serve(program: &Program, index: usize, slot: &DelegationSlot) -> ! {
    slot.worker_tid
        .store(gettid().as_raw().unsigned_abs(), Ordering::Relaxed);
    loop {
        let request = next(program, index, slot);
        let result = perform::perform(program, &request);
        if slot.finish(result) == Wake::Ring {
            // A co-kernel that is gone is noticed by the next wait.
            let _ = device::ring(index);
        }
    }
}

/// The next request.
fn next(program: &Program, index: usize, slot: &DelegationSlot) -> Request {
    loop {
        if let Some(request) = look(slot) {
            return request;
        }
        slot.sleeping_cpu.store(current_cpu(), Ordering::Relaxed);
        if !slot.set_asleep() {
            continue;
        }
        match device::wait(index) {
            Ok(()) | Err(Errno::EINTR) => {}
            Err(_) => control::cokernel_gone(program.os),
        }
        slot.clear_asleep();
    }
}

/// Looks for a request for a while.
fn look(slot: &DelegationSlot) -> Option<Request> {
    let began = Instant::now();
    loop {
        for _ in 0..LOOKS_PER_CLOCK {
            if let Some(request) = slot.take() {
                return Some(request);
            }
            spin_loop();
        }
        if began.elapsed() >= LOOK_FOR {
            return None;
        }
    }
}

fn current_cpu() -> u32 {
    sched_getcpu()
        .ok()
        .and_then(|cpu| cpu.try_into().ok())
        .unwrap_or(0)
}
