// SPDX-License-Identifier: GPL-2.0
//! The devices of ihk.ko: one `match` per ioctl, arguments in and an error number out.

pub(crate) mod mcd;
mod mcos;
