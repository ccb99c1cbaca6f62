// SPDX-License-Identifier: GPL-2.0
//! The one place that chooses the atomics, so that the loom models run on the very same code.

#[cfg(not(loom))]
pub use core::sync::atomic::{fence, AtomicI64, AtomicU32, AtomicU64, Ordering};
#[cfg(loom)]
pub use loom::sync::atomic::{fence, AtomicI64, AtomicU32, AtomicU64, Ordering};
