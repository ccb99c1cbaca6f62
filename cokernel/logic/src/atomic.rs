// SPDX-License-Identifier: GPL-2.0
//! The one place that chooses the atomics, so that the loom models run on the very same code.

#[cfg(not(loom))]
pub use core::sync::atomic::{
    fence, AtomicBool, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    fence, AtomicBool, AtomicU32, AtomicU64, AtomicU8, AtomicUsize, Ordering,
};

/// Orders all that comes before and after a read-modify-write, or a store with `SeqCst`, that stands next
/// to it: Linux's `smp_mb__before_atomic` and `smp_mb__after_atomic`. On x86 these instructions do so by
/// themselves, even a comparison that fails, so only the compiler has to be told.
#[inline]
pub fn barrier_next_to_atomic() {
    #[cfg(not(loom))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}
