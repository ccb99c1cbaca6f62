// SPDX-License-Identifier: GPL-2.0
//! The only files that call the C side of the kernel: small safe wrappers, one per mechanism. They know
//! nothing of ours but the contract.
//!
//! Everything that Linux lends (a CPU, a folio, an interrupt, a page below 1 MiB) is a value here; dropping
//! it gives it back. The mechanisms that mcctrl needs as well are in `shared/`, which both modules compile.

pub(crate) mod apic;
pub(crate) mod clock;
pub(crate) mod cpu;
pub(crate) mod device;
pub(crate) mod draft;
pub(crate) mod hotplug;
pub(crate) mod irq;
pub(crate) mod low_page;
pub(crate) mod module_ref;
pub(crate) mod notifier;
pub(crate) mod pages;
pub(crate) mod rcu;
pub(crate) mod rights;

#[path = "shared/compat.rs"]
pub(crate) mod compat;
#[allow(dead_code, reason = "shared with mcctrl")]
#[path = "shared/errno.rs"]
pub(crate) mod errno;
#[path = "shared/irq_lock.rs"]
pub(crate) mod irq_lock;
#[allow(dead_code, reason = "shared with mcctrl")]
#[path = "shared/user.rs"]
pub(crate) mod user;
#[allow(dead_code, reason = "shared with mcctrl")]
#[path = "shared/workqueue.rs"]
pub(crate) mod workqueue;

#[allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "made by bindgen"
)]
#[path = "../extra_bindings.rs"]
mod extra;
