// SPDX-License-Identifier: GPL-2.0
//! The life of processes: how they come to be, start, get signals and end, and what may hold them back.

pub mod accounting;
pub mod core_registers;
pub mod cpu_limits;
pub mod create;
#[expect(unsafe_code, reason = "a process without threads gives up its slots")]
pub mod exit;
pub mod limits;
pub mod pending_fork;
pub mod rights;
pub mod signal;
pub mod spawn_thread;
pub mod start;
pub mod vfork;
pub mod view;
