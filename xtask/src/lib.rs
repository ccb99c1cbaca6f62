// SPDX-License-Identifier: GPL-2.0
//! The rig: makes the build root and guest image, builds all parts, boots the stock kernel in QEMU, runs a command.
//!
//! Tests use [`vm::Machine`]; everything else is behind `cargo xtask`.

pub mod assumptions;
mod attributes;
pub mod bench;
pub mod build;
#[allow(
    unsafe_code,
    reason = "pre_exec, so that what we start never outlives us"
)]
mod child;
mod claims;
pub mod commands;
mod date;
mod floors;
pub mod lock;
mod pages;
pub mod paths;
pub mod route;
pub mod setup;
pub mod syscalls;
mod testing;
pub mod ui;
pub mod unsafe_list;
pub mod vm;
pub mod walk_throughs;
