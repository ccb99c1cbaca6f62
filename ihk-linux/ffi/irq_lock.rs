// SPDX-License-Identifier: GPL-2.0
//! A spin lock that keeps interrupts off: for what interrupt handlers share with everybody else. mcctrl compiles
//! this file, too.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use kernel::bindings;
use kernel::types::NotThreadSafe;

/// `T` behind a raw spin lock taken with interrupts off. Usable in a static.
pub(crate) struct IrqLock<T> {
    raw: UnsafeCell<bindings::raw_spinlock_t>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock lets one context at a time at the data.
unsafe impl<T: Send> Sync for IrqLock<T> {}
// SAFETY: the lock word is plain data.
unsafe impl<T: Send> Send for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// An unlocked lock.
    pub(crate) const fn new(data: T) -> Self {
        // All zeroes is `__RAW_SPIN_LOCK_UNLOCKED` without lock debugging, as the kernel is built.
        Self {
            raw: UnsafeCell::new(pin_init::zeroed()),
            data: UnsafeCell::new(data),
        }
    }

    /// Spins until the lock is ours. Any context.
    pub(crate) fn lock(&self) -> IrqGuard<'_, T> {
        // SAFETY: the lock word is initialised and lives as long as the guard.
        let flags = unsafe { bindings::_raw_spin_lock_irqsave(self.raw.get()) };
        IrqGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

/// Access to the data; unlocks when dropped, on the CPU that took it.
pub(crate) struct IrqGuard<'a, T> {
    lock: &'a IrqLock<T>,
    flags: usize,
    _not_send: NotThreadSafe,
}

impl<T> Deref for IrqGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for IrqGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and we hold the guard exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for IrqGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: locked by `lock` on this CPU with these flags.
        unsafe { bindings::_raw_spin_unlock_irqrestore(self.lock.raw.get(), self.flags) };
    }
}
