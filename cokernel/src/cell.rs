// SPDX-License-Identifier: GPL-2.0
//! A value that only its owner touches: the CPU a thread runs on, or the CPU whose slot it is.

use core::cell::UnsafeCell;

/// Interior mutability without a lock. Who may touch it is a promise, made at each use.
pub struct OwnedCell<T>(UnsafeCell<T>);

// SAFETY: every access is `unsafe` and promises exclusivity, so sharing the cell shares nothing.
unsafe impl<T: Send> Sync for OwnedCell<T> {}

impl<T> OwnedCell<T> {
    /// A cell around `value`.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value's address, for assembly and for the owner.
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// Runs `body` on the value.
    ///
    /// # Safety
    ///
    /// Nobody else touches the value meanwhile, on this CPU or another.
    #[expect(clippy::mut_from_ref, reason = "exclusivity is the caller's promise")]
    pub unsafe fn get_mut(&self) -> &mut T {
        // SAFETY: by this function's contract.
        unsafe { &mut *self.0.get() }
    }
}
