// SPDX-License-Identifier: GPL-2.0
//! Memory: the partition's frames, the kernel heap, address spaces.

pub mod duplicate;
pub mod fault;
pub mod layout;
pub mod load;
pub mod migrate;
pub mod mirror;
pub mod named;
pub mod oom;
pub mod revoke;
pub mod unmap;
pub mod window;
