// SPDX-License-Identifier: GPL-2.0
//! The lock that the logic asks for: the co-kernel's spins and serves other CPUs meanwhile, that of a
//! model is the model's.

use core::ops::DerefMut;

/// A value that one CPU at a time may touch.
pub trait Lock<T> {
    /// A free lock around `value`.
    fn new(value: T) -> Self;

    /// Takes the value; it is free again when the answer is dropped.
    fn lock(&self) -> impl DerefMut<Target = T>;
}

/// For tests that have one thread.
#[cfg(test)]
impl<T> Lock<T> for core::cell::RefCell<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> impl DerefMut<Target = T> {
        self.borrow_mut()
    }
}

/// For models.
#[cfg(loom)]
impl<T> Lock<T> for loom::sync::Mutex<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn lock(&self) -> impl DerefMut<Target = T> {
        self.lock().expect("a model that has failed has ended")
    }
}
