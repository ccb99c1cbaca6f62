// SPDX-License-Identifier: GPL-2.0
//! The two locks of the whole module.
//!
//! Lock order: `NODE` → an instance's `steering` → `STARTING` → (Linux's CPU hotplug lock) →
//! doorbells' publishing lock or a channel's lock. Doorbells are rung after the last unlock of a
//! channel. What interrupts and the service look up takes none of them (see `running`).

use crate::node::Node;
use kernel::prelude::*;
use kernel::sync::global_lock;

global_lock! {
    /// What is reserved, and the instances.
    // SAFETY: `init` runs before anything else of the module.
    pub(crate) unsafe(uninit) static NODE: Mutex<Node> = Node::new();
}

global_lock! {
    /// Held while co-kernel CPUs start: only one boot at a time may borrow a page below 1 MiB.
    // SAFETY: as above.
    pub(crate) unsafe(uninit) static STARTING: Mutex<()> = ();
}

/// Makes the locks usable.
///
/// # Safety
///
/// Called once, before anything else of the module runs.
pub(crate) unsafe fn init() {
    // SAFETY: the caller's promise.
    unsafe {
        NODE.init();
        STARTING.init();
    }
}
