// SPDX-License-Identifier: GPL-2.0
//! FlexSC mode and Sakura Call: calls and functions that a program leaves in a queue, to be done on
//! a Linux core while it goes on computing.
//!
//! The same program runs natively: the queue's servers are threads of the program either way
//! (`server.rs`). On the co-kernel such a thread waits in one long delegated call, and what it serves
//! ([`serve`]) is done by its stand-in in the proxy. [`queue`] is the Rust interface, [`c`] the one of
//! `include/mckernel.h`. Guarantees and limits: `docs/flexsc-and-sakura.md`.
#![deny(unsafe_code)]

#[cfg(not(loom))]
#[expect(unsafe_code, reason = "the C interface")]
pub mod c;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "system calls, fork handlers")]
mod kernel;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "the queue is mapped memory")]
pub mod memory;
#[cfg(not(loom))]
pub mod queue;
pub mod serve;
#[cfg(not(loom))]
#[expect(unsafe_code, reason = "calls posted functions")]
mod server;

#[cfg(not(loom))]
pub use queue::{CallQueue, Full};
