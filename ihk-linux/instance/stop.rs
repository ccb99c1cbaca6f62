// SPDX-License-Identifier: GPL-2.0
//! Stopping an instance, in order or by force. Afterwards its CPUs execute nothing, and CPUs and
//! memory are still the instance's.

use super::running::{self, Running};
use super::{Instance, Steering};
use crate::ffi::cpu;
use crate::proto::control::{command, state};
use crate::proto::uapi::status;
use core::sync::atomic::Ordering;
use kernel::prelude::*;

/// The longest time that a healthy co-kernel may take to stop, or a CPU to show that it lives.
const ANSWER_US: u64 = 1_000_000;

/// The reason why an instance is stopped.
pub(crate) enum Cause {
    /// Somebody asked for it.
    Asked,
    /// It failed; the status it gets.
    Failed(u32),
}

/// Stops `instance` if it runs. Process context, with its steering locked.
pub(crate) fn stop(instance: &Instance, steering: &mut Steering, cause: Cause) {
    let Some(running) = &steering.running else {
        return;
    };
    let end = match cause {
        Cause::Asked => shut_down(running),
        Cause::Failed(end) => end,
    };
    if end != status::SHUTDOWN {
        // Before the long part, so that nobody starts a program any more.
        instance.set_status(end);
    }
    running.reset_cpus();
    running.service.detach();
    running::withdraw(instance.number);
    steering.log.keep(&running.log);
    steering.running = None;
    instance.forget_failure();
    instance.set_status(end);
    pr_info!("mcos{}: stopped\n", instance.number);
}

/// Tells the co-kernel to stop and waits; the status that results.
fn shut_down(running: &Running) -> u32 {
    running
        .control
        .command
        .store(command::SHUTDOWN, Ordering::Release);
    running.ring_all();
    let has_stopped = || running.control.state.load(Ordering::Acquire) == state::STOPPED;
    if cpu::wait_until(ANSWER_US, has_stopped) {
        return status::SHUTDOWN;
    }
    match running.control.state.load(Ordering::Acquire) {
        state::PANIC => status::PANIC,
        _ => status::HUNGUP,
    }
}

/// The status of `instance`. If programs run, every CPU is rung and must show within a second that
/// it takes interrupts; else the instance is given up.
pub(crate) fn probe(instance: &Instance) -> u32 {
    let seen = instance.status();
    if seen != status::RUNNING {
        return seen;
    }
    let Some(running) = running::get(instance.number) else {
        return instance.status();
    };
    if running.programs() > 0 && !is_beating(&running) {
        running.instance.give_up(c"a CPU does not answer");
        return status::HUNGUP;
    }
    instance.status()
}

/// Rings all CPUs and waits for a heartbeat of each.
fn is_beating(running: &Running) -> bool {
    let beat = |index: usize| running.heartbeat(index);
    let mut before = KVec::new();
    for index in 0..running.cpus.len() {
        if before.push(beat(index), GFP_KERNEL).is_err() {
            return true;
        }
    }
    running.ring_all();
    let all_moved = || {
        before
            .iter()
            .enumerate()
            .all(|(index, &old)| beat(index) != old)
    };
    cpu::wait_until(ANSWER_US, all_moved)
}
