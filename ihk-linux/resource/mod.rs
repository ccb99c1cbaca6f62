// SPDX-License-Identifier: GPL-2.0
//! What is taken from Linux: CPUs and memory, as values that give back when dropped.

pub(crate) mod cpus;
pub(crate) mod giants;
pub(crate) mod memory;
