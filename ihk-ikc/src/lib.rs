// SPDX-License-Identifier: GPL-2.0
//! The contract between Linux and the co-kernel, as a Cargo crate.
//!
//! The definitions live in [`proto`], which the two kernel modules include by path, because Kbuild
//! links no foreign crate. This file is only the shell that makes the same text a crate for the
//! co-kernel, mcexec and the tools.
#![cfg_attr(not(any(test, loom)), no_std)]
#![deny(unsafe_code)]

pub mod proto;
pub use proto::*;
