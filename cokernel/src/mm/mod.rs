// SPDX-License-Identifier: GPL-2.0
//! User memory that may ask Linux: faults, mirrored pages, files, what is revoked, unmapped and copied for forks.

pub mod fault;
pub mod file_mapping;
pub mod fork_copy;
pub mod layout;
pub mod load;
pub mod migrate;
pub mod mirror;
pub mod oom;
pub mod proxy_rights;
pub mod revoke;
pub mod unmap;
