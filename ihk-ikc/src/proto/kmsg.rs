// SPDX-License-Identifier: GPL-2.0
//! The co-kernel's log: a byte ring that overwrites its oldest bytes. The co-kernel writes (under
//! a lock of its own), Linux reads and never writes.

use super::atomic::AtomicU64;

/// Header of the ring; `capacity` bytes of text follow it.
#[repr(C, align(64))]
pub struct KmsgRing {
    /// Bytes ever written; the newest byte is at `(written - 1) % capacity`. Stored (release)
    /// after the bytes it counts. Writer: co-kernel.
    pub written: AtomicU64,
    /// Bytes of the text area; set by ihk.ko before boot, then constant.
    pub capacity: u64,
    /// Keeps the text on a line of its own.
    pub reserved: [u64; 6],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<KmsgRing>() == 64);

/// The part of the ring to read: given how far the reader has come (`from`) and what `written`
/// says, the first byte number that still exists and how many bytes follow it.
///
/// A `written` that went backwards (a lie or a rebooted instance) yields nothing.
#[must_use]
pub fn readable(from: u64, written: u64, capacity: u64) -> (u64, u64) {
    let oldest = written.saturating_sub(capacity);
    let start = if from < oldest { oldest } else { from };
    (start, written.saturating_sub(start))
}
