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

/// The longest time that a healthy co-kernel may take to stop.
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
