// SPDX-License-Identifier: GPL-2.0
//! The lanes of `cargo xtask test`, each a `cargo test`, and only those that have a test of the wanted name.

pub(crate) mod lanes;
pub(crate) mod names;
pub(crate) mod record;
