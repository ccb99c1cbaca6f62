// SPDX-License-Identifier: GPL-2.0
//! ihk.ko: takes cores and memory from Linux, boots co-kernels on them, and carries packets and
//! doorbells between the kernels. It knows no process and no system call.
//!
//! | file | what |
//! |---|---|
//! | `mcd`, `mcos` | the devices: one `match` per ioctl |
//! | `node`, `instance` | the pool of what is reserved; one instance |
//! | `resource` | CPUs and memory as values that give back |
//! | `image`, `boot`, `stop` | from an image to RUNNING and back |
//! | `running`, `channel`, `doorbell`, `kmsg` | talking to a co-kernel |
//! | `service` | the seam to mcctrl.ko |
//! | `ffi` | the C side of Linux |
#![deny(unsafe_code)]

// Unsafe code is allowed in these modules only.
#[allow(
    unsafe_code,
    reason = "prepares partition memory and the trampoline page"
)]
mod boot;
#[allow(unsafe_code, reason = "the C side of Linux")]
mod ffi;
#[allow(unsafe_code, reason = "reads the log in partition memory")]
mod kmsg;
#[allow(unsafe_code, reason = "statics that need initialising")]
mod locks;
#[allow(unsafe_code, reason = "pointers under read-copy-update")]
mod running;
#[allow(unsafe_code, reason = "functions and pointers across modules")]
mod service;
#[allow(unsafe_code, reason = "views of partition memory")]
mod shared;

mod channel;
mod doorbell;
mod error;
mod image;
#[allow(
    unsafe_code,
    reason = "work items are embedded by a macro of the kernel crate"
)]
mod instance;
mod mcd;
mod mcos;
mod node;
mod notifiers;
mod resource;
mod stop;

#[allow(
    dead_code,
    unreachable_pub,
    reason = "each part uses its own share of the contract"
)]
#[path = "../ihk-ikc/src/proto/mod.rs"]
mod proto;

use ffi::device::Device;
use ffi::hotplug;
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
    _mcd: Device<mcd::Mcd>,
    _notifiers: notifiers::Notifiers,
    _pool: Pool,
    _guard: hotplug::Callback,
    _doorbells: doorbell::Doorbells,
}

/// Gives everything back when the module goes.
struct Pool;

impl Drop for Pool {
    fn drop(&mut self) {
        locks::NODE.lock().clear();
    }
}

impl kernel::Module for Ihk {
    #[allow(unsafe_code, reason = "the one place that may initialise the locks")]
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // SAFETY: called once, and nothing of the module runs yet.
        unsafe { locks::init() };
        let before = hotplug::Stage::Before;
        let doorbells = doorbell::Doorbells::new()?;
        let guarded = resource::cpus::refuse_guarded;
        let guard = hotplug::Callback::register(before, c"ihk:guard", guarded)?;
        let notifiers = notifiers::Notifiers::register()?;
        let name = CString::try_from_fmt(fmt!("mcd0"))?;
        let mcd = Device::register(name, Arc::new(mcd::Mcd, GFP_KERNEL)?)?;
        Ok(Self {
            _mcd: mcd,
            _notifiers: notifiers,
            _pool: Pool,
            _guard: guard,
            _doorbells: doorbells,
        })
    }
}
