// SPDX-License-Identifier: GPL-2.0
//! Resources taken from Linux: CPUs and memory, as values that give back when dropped.

pub(crate) mod cpus;
pub(crate) mod giants;
pub(crate) mod memory;
