// SPDX-License-Identifier: GPL-2.0
//! The life of processes: how they come to be, start, get signals and end, and what may hold them back.

pub mod accounting;
pub mod cpu_limits;
pub mod start;
pub mod vfork;
