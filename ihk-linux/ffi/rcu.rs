// SPDX-License-Identifier: GPL-2.0
//! Read-copy-update: the half that the kernel crate of Linux 7.2 lacks.

use kernel::bindings;

/// Waits until whoever reads now has finished. Process context.
pub(crate) fn synchronize() {
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::synchronize_rcu() };
}
