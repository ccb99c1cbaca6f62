// SPDX-License-Identifier: GPL-2.0
//! Answers of any length, put together under a lock and copied to user space without it.

use super::user;
use kernel::bindings;
use kernel::prelude::*;

/// Most bytes of a [`Draft`]; who wants more asks again.
const DRAFT_BYTES: u64 = 1 << 20;

/// An answer that is put together under a lock, and copied to user space without it.
pub(crate) struct Draft {
    memory: KVVec<u8>,
    filled: usize,
}

impl Draft {
    /// An empty one, with room for `bytes` bytes, or the most that there may be. ENOMEM.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        let mut memory = KVVec::new();
        memory.resize(bytes.min(DRAFT_BYTES) as usize, 0, GFP_KERNEL)?;
        Ok(Self { memory, filled: 0 })
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> u64 {
        self.filled as u64
    }

    /// Bytes for which there is room still.
    pub(crate) fn room(&self) -> u64 {
        (self.memory.len() - self.filled) as u64
    }

    /// Adds `bytes` bytes. EINVAL: there is no room for them.
    ///
    /// # Safety
    ///
    /// `from` must be readable for `bytes`. Somebody else may change it meanwhile.
    pub(crate) unsafe fn add(&mut self, from: *const u8, bytes: usize) -> Result {
        let end = self.filled.checked_add(bytes).ok_or(EINVAL)?;
        let target = self.memory.as_mut_slice().get_mut(self.filled..end);
        let target = target.ok_or(EINVAL)?;
        // SAFETY: the target is ours and as long; the caller's promise for the rest. It is Linux's
        // own copying for memory that may change meanwhile.
        unsafe { bindings::memcpy(target.as_mut_ptr().cast(), from.cast(), bytes) };
        self.filled = end;
        Ok(())
    }

    /// Copies it to user address `to`.
    pub(crate) fn copy_out(&self, to: u64) -> Result {
        let to = usize::try_from(to).map_err(|_| EFAULT)?;
        user::write_bytes(to, self.memory.get(..self.filled).ok_or(EINVAL)?)
    }
}
