// SPDX-License-Identifier: GPL-2.0
//! The rig: makes the build root and guest image, builds all parts, boots the stock kernel in QEMU, runs a command.
//!
//! Tests use [`vm::Machine`]; everything else is behind `cargo xtask`.

pub mod build;
#[allow(
    unsafe_code,
    reason = "pre_exec, so that what we start never outlives us"
)]
mod child;
mod claims;
pub mod commands;
mod date;
pub mod lock;
pub mod paths;
pub mod setup;
mod testing;
pub mod ui;
pub mod vm;
