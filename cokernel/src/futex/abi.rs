// SPDX-License-Identifier: GPL-2.0
//! Numbers of futex(2) that are used here and in the calls that go on to Linux.

/// Operations of Linux.
pub mod op {
    pub const WAIT: u32 = 0;
    pub const WAKE: u32 = 1;
    pub const REQUEUE: u32 = 3;
    pub const CMP_REQUEUE: u32 = 4;
    pub const WAKE_OP: u32 = 5;
    pub const LOCK_PI: u32 = 6;
    pub const UNLOCK_PI: u32 = 7;
    pub const TRYLOCK_PI: u32 = 8;
    pub const WAIT_BITSET: u32 = 9;
    pub const WAKE_BITSET: u32 = 10;
    pub const LOCK_PI2: u32 = 13;
}

/// Wakes, and is woken, whatever the other side's bits are.
pub const ALL: u32 = u32::MAX;
