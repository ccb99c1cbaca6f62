// SPDX-License-Identifier: GPL-2.0
//! Who runs: threads, the scheduler, processes, signals.

pub mod affinity;
pub mod clock;
pub mod core_registers;
pub mod cpu_timer;
pub mod create;
pub mod exit;
pub mod ledger;
pub mod nursery;
mod pause;
mod pending;
pub mod post_mortem;
pub mod process;
pub mod proxy_mask;
pub mod rlimit_numbers;
#[expect(unsafe_code, reason = "the stack switch")]
pub mod sched;
pub mod signal;
pub mod signal_frame;
pub mod spawn_thread;
pub mod stack;
pub mod stop;
#[expect(
    unsafe_code,
    reason = "a thread's saved context belongs to the CPU that runs it"
)]
pub mod thread;
pub mod timer;
