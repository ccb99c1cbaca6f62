// SPDX-License-Identifier: GPL-2.0
//! What can be found wrong in the sources without running anything.

pub mod assumptions;
mod attributes;
pub mod commands;
mod floors;
mod pages;
pub mod route;
pub mod syscalls;
pub mod unsafe_list;
pub mod walk_throughs;
