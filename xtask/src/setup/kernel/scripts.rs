// SPDX-License-Identifier: GPL-2.0
//! The scripts that make entries of the cache from a kernel's packages: the entries' keys depend on their text.

/// Makes the entry of a kernel.
pub(super) const KERNEL: &str = include_str!("../../../setup/fetch-kernel.sh");
/// Makes the entry of a source.
pub(super) const SOURCE: &str = include_str!("../../../setup/prepare-source.sh");
/// What the initial RAM disk does.
pub(super) const FIRST_INIT: &str = include_str!("../../../setup/first-init.sh");
