// SPDX-License-Identifier: GPL-2.0
//! The kernel's lock: spins, executes PAUSE, and serves TLB shootdowns meanwhile, because who holds
//! the lock may be waiting for this CPU to serve one. Never held while waiting for Linux.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use cokernel_logic::lock::Lock;

use crate::arch;

/// A value that one CPU at a time may touch.
pub struct SpinLock<T: ?Sized> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands `T` from CPU to CPU, one at a time, which is what `Send` allows.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// An unlocked lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Waits until the value is free and takes it. Kernel operations under locks are short, so the
    /// wait is; a CPU that died in a panic is the end of the instance anyway.
    pub fn lock(&self) -> SpinGuard<'_, T> {
        loop {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            wait_while(&self.locked);
        }
    }

    /// Takes the value if it is free.
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let was_locked = self.locked.swap(true, Ordering::Acquire);
        (!was_locked).then(|| SpinGuard { lock: self })
    }

    /// Tries `attempts` times, then takes the value by force: for the panic report, whose lock may
    /// be held by the very code that panicked.
    ///
    /// # Safety
    ///
    /// Whoever holds the lock after so many attempts will not go on, and may have left the value in the
    /// middle of a change.
    pub unsafe fn lock_or_break(&self, attempts: u32) -> SpinGuard<'_, T> {
        for _ in 0..attempts {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
            core::hint::spin_loop();
        }
        SpinGuard { lock: self }
    }
}

/// Apart from the lock, so that the way of one that is free is short wherever it is inlined.
#[cold]
#[inline(never)]
fn wait_while(locked: &AtomicBool) {
    while locked.load(Ordering::Relaxed) {
        arch::relax();
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Lock<T> for SpinLock<T> {
    #[inline]
    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> impl DerefMut<Target = T> {
        Self::lock(self)
    }
}

/// Access to a locked value; gives it free when dropped.
pub struct SpinGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: a guard exists only while its CPU holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` keeps other references of this guard away.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.locked.store(false, Ordering::Release);
    }
}
