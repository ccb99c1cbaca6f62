// SPDX-License-Identifier: GPL-2.0
//! The lock that the logic asks for: the co-kernel's spins and serves other CPUs meanwhile, that of a
//! model is the model's.

/// A value that one CPU at a time may touch.
pub trait Lock<T> {
    /// A free lock around `value`.
    fn new(value: T) -> Self;

    /// Runs `body` on the value while nobody else touches it.
    fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R;
}
