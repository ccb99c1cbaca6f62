// SPDX-License-Identifier: GPL-2.0
//! A spin lock that keeps interrupts off: for what interrupt handlers share with everybody else.
//! mcctrl compiles this file, too.

use super::compat::{LockWord, UsualWord};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use kernel::bindings;
use kernel::types::NotThreadSafe;

/// `T` behind a spin lock taken with interrupts off (with PREEMPT_RT: one that may sleep). Usable
/// in a static.
pub(crate) struct IrqLock<T, W = UsualWord> {
    raw: UnsafeCell<W>,
    data: UnsafeCell<T>,
}

/// An [`IrqLock`] for places where Linux itself holds a raw lock: interrupts are off while it is
/// held, whatever Linux it is.
#[allow(dead_code, reason = "mcctrl needs none")]
pub(crate) type HardIrqLock<T> = IrqLock<T, bindings::raw_spinlock_t>;

// SAFETY: the lock lets one context at a time at the data.
unsafe impl<T: Send, W> Sync for IrqLock<T, W> {}
// SAFETY: the lock word is plain data.
unsafe impl<T: Send, W> Send for IrqLock<T, W> {}

impl<T, W: LockWord> IrqLock<T, W> {
    /// An unlocked lock.
    pub(crate) const fn new(data: T) -> Self {
        Self {
            // SAFETY: all zeroes is an unlocked lock, as the word's kind promises.
            raw: UnsafeCell::new(unsafe { core::mem::zeroed() }),
            data: UnsafeCell::new(data),
        }
    }

    /// Waits until the lock is ours. Any context that Linux lets take such a word.
    pub(crate) fn lock(&self) -> IrqGuard<'_, T, W> {
        // SAFETY: the lock word is initialised and lives as long as the guard.
        let flags = unsafe { W::lock(self.raw.get()) };
        IrqGuard {
            lock: self,
            flags,
            _not_send: NotThreadSafe,
        }
    }
}

/// Access to the data; unlocks when dropped, on the CPU that took it.
pub(crate) struct IrqGuard<'a, T, W: LockWord = UsualWord> {
    lock: &'a IrqLock<T, W>,
    flags: usize,
    _not_send: NotThreadSafe,
}

impl<T, W: LockWord> Deref for IrqGuard<'_, T, W> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T, W: LockWord> DerefMut for IrqGuard<'_, T, W> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and we hold the guard exclusively.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T, W: LockWord> Drop for IrqGuard<'_, T, W> {
    fn drop(&mut self) {
        // SAFETY: locked by `lock` on this CPU with these flags.
        unsafe { W::unlock(self.lock.raw.get(), self.flags) };
    }
}
