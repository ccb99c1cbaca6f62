// SPDX-License-Identifier: GPL-2.0
//! mcctrl.ko: runs programs on the instances that ihk.ko boots. It knows processes, their windows
//! and their signals; it takes no CPUs and no memory.
//!
//! | file | what lives there |
//! |---|---|
//! | [`service`], [`ioctl`], [`inbox`] | the three ways in: ihk.ko, mcexec, the co-kernel |
//! | [`instances`], [`instance`], [`proxy`] | who exists; lock order in [`gate`] |
//! | [`create`], [`adopt`], [`image`], [`vdso`], [`populate`], [`editions`] | a program comes to life |
//! | [`window`], [`fault`], [`block`], [`walk`], [`refusals`] | Linux sees the program's memory |
//! | [`revoke`], [`pins`], [`gate`] | and stops seeing it |
//! | [`mirror`] | the program sees memory of Linux |
//! | [`copy`] | the program's memory is copied, for measuring |
//! | [`waiting`], [`control`], [`requests`] | sleeping and waking |
//! | [`query`] | what the co-kernel tells of programs |
//! | [`undertaker`] | the end |

#![deny(unsafe_code)]

use kernel::prelude::*;

mod adopt;
mod block;
mod control;
#[allow(unsafe_code, reason = "copies from and to pinned memory")]
mod copy;
mod create;
mod editions;
mod fault;
#[allow(unsafe_code, reason = "calls into Linux")]
mod ffi;
mod files;
#[allow(unsafe_code, reason = "gives out the partition while the gate is open")]
mod gate;
mod image;
mod inbox;
mod instance;
mod instances;
mod ioctl;
mod mirror;
mod patience;
mod pins;
#[allow(
    unsafe_code,
    reason = "reads a file into frames that the co-kernel lends"
)]
mod populate;
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the contract serves more sides than this one"
)]
#[path = "../ihk-ikc/src/proto/mod.rs"]
mod proto;
mod proxy;
mod query;
mod refusals;
mod requests;
mod revoke;
#[allow(unsafe_code, reason = "functions called through the C ABI")]
mod service;
#[allow(dead_code, unreachable_pub, reason = "shared with ihk.ko")]
#[path = "../ihk-linux/service/abi.rs"]
mod service_abi;
mod undertaker;
mod vdso;
mod waiting;
mod walk;
mod window;

module! {
    type: Mcctrl,
    name: "mcctrl",
    authors: ["mckernel-rs developers"],
    description: "Programs on co-kernel instances",
    license: "GPL v2",
}

struct Mcctrl;

impl kernel::Module for Mcctrl {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        ffi::workqueue::create_own(c"mcctrl")?;
        ffi::ihk::register(&service::SERVICE.0).inspect_err(|_| ffi::workqueue::destroy_own())?;
        Ok(Self)
    }
}

impl Drop for Mcctrl {
    fn drop(&mut self) {
        ffi::ihk::unregister();
        ffi::workqueue::destroy_own();
    }
}
