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

/// Orders not yet carried out. Each CPU of the co-kernel waits for its own, so there is an end to
/// their number, and room for all can be had in advance.
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
