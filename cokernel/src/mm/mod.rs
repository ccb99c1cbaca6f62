// SPDX-License-Identifier: GPL-2.0
//! Memory: the partition's frames, the kernel heap, address spaces.

pub mod aspace;
pub mod cleaner;
pub mod copy;
pub mod duplicate;
mod emergency;
pub mod fault;
pub mod files;
mod grow;
#[expect(unsafe_code, reason = "the kernel heap hands out raw memory")]
pub mod heap;
pub mod load;
pub mod migrate;
pub mod mirror;
pub mod named;
pub mod oom;
#[expect(unsafe_code, reason = "views of the partition through the direct map")]
pub mod phys;
pub mod populate;
pub mod quarantine;
pub mod reserve;
pub mod revoke;
pub mod runs;
pub mod share;
#[expect(unsafe_code, reason = "lists through the free memory itself")]
mod slab;
mod spare;
pub mod unmap;
pub mod window;
