// SPDX-License-Identifier: GPL-2.0
//! ihk.ko: takes cores and memory from Linux, boots co-kernels on them, and carries packets and
//! doorbells between the kernels. It knows no process and no system call.
//!
//! | folder or file | what |
//! |---|---|
//! | `ffi` | the C side of Linux |
//! | `resource` | CPUs and memory as values that give back |
//! | `ikc` | rings, log and doorbells in partition memory |
//! | `service` | the seam to mcctrl.ko |
//! | `instance` | the pool of what is reserved; one instance; a booted one; its end |
//! | `boot` | from an image to RUNNING |
//! | `devices` | the devices of the tools and of mcexec |
//! | `notifiers` | when Linux itself goes down |
#![deny(unsafe_code)]

#[expect(
    unsafe_code,
    reason = "prepares partition memory and the trampoline page"
)]
mod boot;
mod devices;
#[expect(unsafe_code, reason = "the C side of Linux")]
mod ffi;
mod ikc;
mod instance;
mod notifiers;
mod resource;
#[expect(unsafe_code, reason = "functions and pointers across modules")]
mod service;

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each part uses its own share of the contract"
)]
#[path = "../ihk-ikc/src/proto/mod.rs"]
mod proto;

use devices::mcd::Mcd;
use ffi::device::Device;
use ffi::hotplug;
use ikc::doorbell::Doorbells;
use instance::node;
use instance::packets::Booted;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::Arc;

module! {
    type: Ihk,
    name: "ihk",
    authors: ["mckernel-rs developers"],
    description: "Interface for Heterogeneous Kernels: partitions a machine and boots co-kernels",
    license: "GPL",
}

/// The loaded module. The fields are dropped in this order: no new requests first, what interrupts
/// use last.
struct Ihk {
    _mcd: Device<Mcd>,
    _notifiers: notifiers::Notifiers,
    _pool: Pool,
    _guard: hotplug::Callback,
    _doorbells: Doorbells,
}

/// Gives everything back when the module goes.
struct Pool;

impl Drop for Pool {
    fn drop(&mut self) {
        node::NODE.lock().clear();
    }
}

impl kernel::Module for Ihk {
    #[expect(unsafe_code, reason = "the one place that may initialise the locks")]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: called once, and nothing of the module runs yet.
        unsafe { node::init_locks() };
        let before = hotplug::Stage::Before;
        let doorbells = Doorbells::new::<Booted>()?;
        let guarded = resource::cpus::refuse_guarded;
        let guard = hotplug::Callback::register(before, c"ihk:guard", guarded)?;
        let notifiers = notifiers::Notifiers::register()?;
        let name = CString::try_from_fmt(fmt!("mcd0"))?;
        let mcd = Device::register(name, Arc::new(Mcd, GFP_KERNEL)?)?;
        Ok(Self {
            _mcd: mcd,
            _notifiers: notifiers,
            _pool: Pool,
            _guard: guard,
            _doorbells: doorbells,
        })
    }
}
