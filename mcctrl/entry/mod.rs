// SPDX-License-Identifier: GPL-2.0
//! The three ways in: ihk.ko by [`service`], mcexec by [`ioctl`] or through its [`gate`], the
//! co-kernel by [`inbox`].

mod gate;
mod inbox;
mod ioctl;
#[expect(unsafe_code, reason = "functions called through the C ABI")]
pub(crate) mod service;
