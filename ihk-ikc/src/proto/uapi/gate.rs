// SPDX-License-Identifier: GPL-2.0
//! The gate: how a process calls the service without a descriptor.
//!
//! It is a shared mapping without pages, one page of addresses for each call that may be under way. A
//! call is written into its place in a table of the process's own memory, and made by
//! `msync(page, PAGE_BYTES, MS_SYNC)`: Linux hands that to the mapping's file (`mm/msync.c`). A fork
//! inherits both.

use super::super::layout::{MCEXEC_BASE, PAGE_BYTES, WINDOW_END};

/// Calls that may be under way.
pub const CALLS: u64 = 2048;
/// First address.
pub const START: u64 = WINDOW_END;
/// Its size.
pub const BYTES: u64 = CALLS * PAGE_BYTES;
/// Address of the table.
pub const TABLE: u64 = START + BYTES;
/// Size of the table.
pub const TABLE_BYTES: u64 = CALLS * size_of::<Call>() as u64;

/// A call. Writer: the process; the service reads it once.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Number of the ioctl that does the same.
    pub command: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its argument.
    pub argument: u64,
}

/// Returns the address of call `index`, if there is such a one.
#[must_use]
pub const fn place(index: u64) -> Option<u64> {
    if index < CALLS {
        Some(TABLE + index * size_of::<Call>() as u64)
    } else {
        None
    }
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Call>() == 16);
    assert!(TABLE & (PAGE_BYTES - 1) == 0 && TABLE_BYTES & (PAGE_BYTES - 1) == 0);
    assert!(TABLE + TABLE_BYTES <= MCEXEC_BASE);
};
