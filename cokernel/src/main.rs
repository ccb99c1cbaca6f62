// SPDX-License-Identifier: GPL-2.0
//! The co-kernel: a small kernel on cores and memory taken from Linux.
//!
//! The list of modules is also the list of where `unsafe` is allowed, and why.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

#[expect(unsafe_code, reason = "instructions, page tables, entry stubs, descriptor tables")]
mod arch;
mod delegate;
mod failure;
mod host;
mod ikc;
mod init;
mod kargs;
#[expect(unsafe_code, reason = "writes the log's own memory, which Linux reads")]
mod log;
mod mm;
mod panic;
#[expect(unsafe_code, reason = "locks and cells: interior mutability lives here")]
mod sync;
mod syscall;
mod task;
