// SPDX-License-Identifier: GPL-2.0
//! Linux's read-write semaphore around data: many readers or one writer, all of which may sleep.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use kernel::{bindings, prelude::*, sync::LockClassKey, types::NotThreadSafe, types::Opaque};

/// Data behind a read-write semaphore.
#[pin_data]
pub(crate) struct RwSem<T> {
    #[pin]
    sem: Opaque<bindings::rw_semaphore>,
    data: UnsafeCell<T>,
}

// SAFETY: the semaphore is usable from any thread and guards the data.
unsafe impl<T: Send> Send for RwSem<T> {}
// SAFETY: readers share the data, so it must be `Sync` as well.
unsafe impl<T: Send + Sync> Sync for RwSem<T> {}

impl<T> RwSem<T> {
    /// An unlocked semaphore around `data`.
    pub(crate) fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            sem <- Opaque::ffi_init(|sem| {
                // SAFETY: `sem` is memory for a semaphore; name and key live for ever.
                unsafe { bindings::__init_rwsem(sem, name.as_char_ptr(), key.as_ptr()) }
            }),
            data: UnsafeCell::new(data),
        })
    }

    /// Sleeps until no writer holds it.
    pub(crate) fn read(&self) -> ReadGuard<'_, T> {
        // SAFETY: initialised by `new`. Linux reports it if sleeping is not allowed here.
        unsafe { bindings::down_read(self.sem.get()) };
        ReadGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }

    /// `None` if a writer holds it or waits for it; never sleeps.
    pub(crate) fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        // SAFETY: initialised by `new`.
        let taken = unsafe { bindings::down_read_trylock(self.sem.get()) } != 0;
        taken.then_some(ReadGuard {
            sem: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Sleeps until nobody else holds it.
    pub(crate) fn write(&self) -> WriteGuard<'_, T> {
        // SAFETY: initialised by `new`. Linux reports it if sleeping is not allowed here.
        unsafe { bindings::down_write(self.sem.get()) };
        WriteGuard {
            sem: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// Shared use of the data.
pub(crate) struct ReadGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: readers exclude writers.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard is one reader.
        unsafe { bindings::up_read(self.sem.sem.get()) };
    }
}

/// Exclusive use of the data.
pub(crate) struct WriteGuard<'a, T> {
    sem: &'a RwSem<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: we are the only holder.
        unsafe { &*self.sem.data.get() }
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we are the only holder, and `self` is borrowed exclusively.
        unsafe { &mut *self.sem.data.get() }
    }
}

impl<T> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard is the writer.
        unsafe { bindings::up_write(self.sem.sem.get()) };
    }
}
