// SPDX-License-Identifier: GPL-2.0
//! mcctrl.ko: runs programs on the instances that ihk.ko boots. It knows processes, their windows
//! and their signals; it takes no CPUs and no memory.
//!
//! | folder | what lives there |
//! |---|---|
//! | [`ffi`] | the C side of Linux, and ihk.ko |
//! | [`process`] | who exists, and its life from creation to the end; lock order in [`revoke::access`] |
//! | [`revoke`] | Linux stops seeing the program's memory |
//! | [`files`] | pages of files come to programs |
//! | [`mirror`] | the program sees memory of Linux |
//! | [`window`] | Linux sees the program's memory |
//! | [`entry`] | the three ways in: ihk.ko, mcexec, the co-kernel |

#![deny(unsafe_code)]

use kernel::prelude::*;

mod entry;
#[expect(unsafe_code, reason = "calls into Linux")]
mod ffi;
mod files;
mod mirror;
mod process;
mod revoke;
mod window;

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the contract serves more sides than this one"
)]
#[path = "../ihk-ikc/src/proto/mod.rs"]
mod proto;

module! {
    type: Mcctrl,
    name: "mcctrl",
    authors: ["mckernel-rs developers"],
    description: "Programs on co-kernel instances",
    license: "GPL v2",
}

struct Mcctrl;

/// Asked by Linux about every program that is executed.
static PROGRAMS: ffi::exec::Format = ffi::exec::Format::new::<process::execution::Execution>();

impl kernel::Module for Mcctrl {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        ffi::workqueue::create_own(c"mcctrl")?;
        ffi::proc_mount::mount()
            .and_then(|()| ffi::ihk::register(&entry::service::SERVICE.0))
            .inspect_err(|_| {
                ffi::proc_mount::unmount();
                ffi::workqueue::destroy_own();
            })?;
        PROGRAMS.register().inspect_err(|_| {
            ffi::ihk::unregister();
            ffi::proc_mount::unmount();
            ffi::workqueue::destroy_own();
        })?;
        Ok(Self)
    }
}

impl Drop for Mcctrl {
    fn drop(&mut self) {
        PROGRAMS.unregister();
        ffi::ihk::unregister();
        process::execution::forget_all();
        ffi::proc_mount::unmount();
        ffi::workqueue::destroy_own();
    }
}
