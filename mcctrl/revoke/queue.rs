// SPDX-License-Identifier: GPL-2.0
//! The revocations that the co-kernel has ordered and that have not been carried out.

use crate::proto::layout::MAX_CPUS;
use kernel::prelude::*;

/// One order of the co-kernel.
#[derive(Clone, Copy)]
pub(crate) struct Revocation {
    /// Goes back with the answer.
    pub(crate) token: u64,
    /// First address.
    pub(crate) start: u64,
    /// One past the last.
    pub(crate) end: u64,
    /// Physical address of the array of [`FrameRun`](crate::proto::exposed::FrameRun).
    pub(crate) runs: u64,
    /// Its length.
    pub(crate) run_count: u32,
}

/// Orders not yet carried out, with room for one of each CPU of the co-kernel: a CPU waits for its own. A
/// process's end orders once more without waiting, and a CPU may have given its last order up after a
/// second; if there is then no room, the order is refused, and the co-kernel keeps the frames.
pub(crate) struct Revocations(KVec<Revocation>);

impl Revocations {
    /// None, with room. ENOMEM.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(KVec::with_capacity(MAX_CPUS, GFP_KERNEL)?))
    }

    /// Adds `order`; `false` if there is no room.
    pub(super) fn push(&mut self, order: Revocation) -> bool {
        self.0.push_within_capacity(order).is_ok()
    }

    /// Takes the oldest order.
    pub(super) fn next(&mut self) -> Option<Revocation> {
        self.0.remove(0).ok()
    }
}
