// SPDX-License-Identifier: GPL-2.0
//! A spin lock that keeps interrupts off while it is held: for data that the packet handler, which
//! runs in a hard interrupt, shares with process context.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use kernel::{bindings, prelude::*, types::NotThreadSafe};

/// Data behind a spin lock that may be taken in any context.
pub(crate) struct IrqLock<T> {
    lock: UnsafeCell<bindings::raw_spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock hands the data to one CPU at a time.
unsafe impl<T: Send> Send for IrqLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// An unlocked lock around `data`.
    pub(crate) const fn new(data: T) -> Self {
        Self {
            // An all-zero raw spin lock is an unlocked one (no lock debugging in this kernel).
            lock: UnsafeCell::new(pin_init::zeroed()),
            data: UnsafeCell::new(data),
        }
    }

    /// Spins until the lock is ours; interrupts stay off until the guard is dropped.
    pub(crate) fn lock(&self) -> IrqGuard<'_, T> {
        // SAFETY: the lock is initialised and lives as long as `self`.
        let flags = unsafe { bindings::_raw_spin_lock_irqsave(self.lock.get()) };
        IrqGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

/// The right to use the data; must be dropped on the CPU that took it.
pub(crate) struct IrqGuard<'a, T> {
    lock: &'a IrqLock<T>,
    flags: c_ulong,
    _not_send: NotThreadSafe,
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: we hold the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we hold the lock, and `self` is borrowed exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for IrqGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: we hold the lock, and `flags` is what taking it returned.
        unsafe { bindings::_raw_spin_unlock_irqrestore(self.lock.lock.get(), self.flags) };
    }
}
