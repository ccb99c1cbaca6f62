// SPDX-License-Identifier: GPL-2.0
//! The three ways in: ihk.ko by [`service`], mcexec by [`ioctl`], the co-kernel by [`inbox`].

mod inbox;
mod ioctl;
#[expect(unsafe_code, reason = "functions called through the C ABI")]
pub(crate) mod service;
