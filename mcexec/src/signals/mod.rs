// SPDX-License-Identifier: GPL-2.0
//! Signals that Linux delivers to this process and that the program is to see.
//!
//! The files from the lowest to the highest:
//!
//! * [`raw`] asks Linux directly.
//! * [`own_slot`] says whose worker a thread is.
//! * [`worker_mask`] decides which signals a worker takes.
//! * [`forward`] sends signals on to the co-kernel, which knows the masks of the program's threads.
//! * [`interrupt`] ends the call that a worker performs, when the co-kernel says so.
//! * [`dispositions`] sets handlers up as the program wants them.

#[expect(unsafe_code, reason = "signal handlers")]
pub(crate) mod dispositions;
#[expect(unsafe_code, reason = "a signal handler, and what it is told")]
mod forward;
#[expect(
    unsafe_code,
    reason = "a signal handler that changes what it interrupts"
)]
pub(crate) mod interrupt;
pub(crate) mod own_slot;
#[expect(
    unsafe_code,
    reason = "system calls about signals, and death by signal"
)]
pub(crate) mod raw;
pub(crate) mod worker_mask;
