// SPDX-License-Identifier: GPL-2.0
//! Flags of clone and clone3 (`CLONE_*` of Linux).

pub const VM: u64 = 0x100;
pub const FS: u64 = 0x200;
pub const FILES: u64 = 0x400;
pub const SIGHAND: u64 = 0x800;
pub const PIDFD: u64 = 0x1000;
pub const VFORK: u64 = 0x4000;
pub const PTRACE: u64 = 0x2000;
pub const THREAD: u64 = 0x1_0000;
pub const SYSVSEM: u64 = 0x4_0000;
pub const SETTLS: u64 = 0x8_0000;
pub const PARENT_SETTID: u64 = 0x10_0000;
pub const CHILD_CLEARTID: u64 = 0x20_0000;
pub const DETACHED: u64 = 0x40_0000;
pub const UNTRACED: u64 = 0x80_0000;
pub const CHILD_SETTID: u64 = 0x100_0000;
/// Namespaces of the child's own: mounts, cgroups, host name, IPC, network. Not of users and
/// processes: the co-kernel knows both by the ids that its first processes had.
pub const NAMESPACES: u64 = 0x2_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000;
pub const IO: u64 = 0x8000_0000;
pub const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
