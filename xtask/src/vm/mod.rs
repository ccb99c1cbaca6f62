// SPDX-License-Identifier: GPL-2.0
//! Boots the stock kernel in QEMU, runs one command in it, brings back its output and status.

pub mod job;
pub mod machine;
mod monitor;
pub mod options;
pub mod qemu;
mod reports;
pub mod running;
pub mod session;
#[allow(unsafe_code, reason = "pre_exec, so that QEMU inherits its sockets")]
mod spawn;
pub mod streams;

pub use machine::{Machine, Outcome};
pub use options::VmOptions;
pub use session::Session;
