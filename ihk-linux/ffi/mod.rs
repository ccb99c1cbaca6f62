// SPDX-License-Identifier: GPL-2.0
//! The only files that call the C side of the kernel: small safe wrappers, one per mechanism.
//!
//! What Linux lends (a CPU, a folio, an interrupt, a page below 1 MiB) is a value here; dropping
//! it gives it back.

pub(crate) mod apic;
pub(crate) mod compat;
pub(crate) mod cpu;
pub(crate) mod device;
pub(crate) mod hotplug;
pub(crate) mod irq;
pub(crate) mod irq_lock;
pub(crate) mod low_page;
pub(crate) mod module_ref;
pub(crate) mod notifier;
pub(crate) mod pages;
pub(crate) mod user;
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
    reason = "made by bindgen"
)]
#[path = "../extra_bindings.rs"]
mod extra;
