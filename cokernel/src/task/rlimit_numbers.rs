// SPDX-License-Identifier: GPL-2.0
//! Numbers of the resource limits that the co-kernel itself enforces (`RLIMIT_*` of Linux).

/// CPU time.
pub const CPU: usize = 0;
/// Writable private memory.
pub const DATA: usize = 2;
/// The main stack.
pub const STACK: usize = 3;
/// Locked memory.
pub const MEMLOCK: usize = 8;
/// The whole address space.
pub const AS: usize = 9;
