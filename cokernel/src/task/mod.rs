// SPDX-License-Identifier: GPL-2.0
//! Threads, processes, pending signals and slots, as data; and the scheduler.

pub mod accounting;
pub mod clock;
pub mod core_registers;
pub mod cpu_timer;
pub mod current;
pub mod exec_carry;
pub mod idle;
mod pause;
pub mod process;
pub mod rlimits;
pub mod robust_list;
#[expect(unsafe_code, reason = "the stack switch")]
pub mod sched;
pub mod shown;
pub mod signal;
#[expect(
    unsafe_code,
    reason = "slots are a view of frames shared with Linux, which may write to a bounce page at any time"
)]
pub mod slots;
pub mod stack;
pub mod stop;
#[expect(
    unsafe_code,
    reason = "a thread's saved context belongs to the CPU that runs it"
)]
pub mod thread;
pub mod thread_data;
pub mod timer;
pub mod worker_pool;
