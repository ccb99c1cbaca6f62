// SPDX-License-Identifier: GPL-2.0
//! The co-kernel: a small kernel on cores and memory taken from Linux.
//!
//! The list of modules is also the list of where `unsafe` is allowed, and why.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![allow(
    unreachable_pub,
    reason = "in a program nothing is reachable from outside: `pub` says what a module offers the others"
)]

#[expect(
    unsafe_code,
    reason = "instructions, page tables, entry stubs, descriptor tables"
)]
#[allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "instructions that belong together"
)]
mod arch;
mod aspace;
#[expect(unsafe_code, reason = "a cell: interior mutability lives here")]
mod cell;
mod delegate;
mod entry;
mod failure;
mod frames;
mod futex;
mod ikc;
mod kargs;
#[expect(unsafe_code, reason = "writes the log's own memory, which Linux reads")]
mod log;
mod mm;
mod panic;
#[expect(unsafe_code, reason = "who makes the value vouches for it")]
mod params;
#[expect(unsafe_code, reason = "views of the partition through the direct map")]
mod partition;
mod process;
#[expect(unsafe_code, reason = "locks: interior mutability lives here")]
mod sync;
mod syscall;
mod task;
mod user_memory;

extern crate alloc;

use cokernel_logic::addr;
use ihk_ikc::errno;
