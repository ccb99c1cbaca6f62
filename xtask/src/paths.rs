// SPDX-License-Identifier: GPL-2.0
//! Paths: the clone, its build output, and the cache that all clones share.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The root of the clone.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
}

/// Build output of this clone.
#[must_use]
pub fn target() -> PathBuf {
    repository().join("target")
}

/// What travels into the guest: unpacked over its `/` at each boot.
#[must_use]
pub fn guest_overlay() -> PathBuf {
    target().join("guest")
}

/// What travels into guests with the kernel `release` besides.
#[must_use]
pub fn modules_overlay(release: &str) -> PathBuf {
    target().join("guest-modules").join(release)
}

/// Logs of build steps.
#[must_use]
pub fn logs() -> PathBuf {
    target().join("log")
}

/// The cache outside the clone: `$MCKERNEL_CACHE`, else `$XDG_CACHE_HOME/mckernel-rs`, else `~/.cache/mckernel-rs`.
///
/// # Errors
/// None of the three variables is set.
pub fn cache() -> Result<PathBuf> {
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("MCKERNEL_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|base| base.join("mckernel-rs")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/mckernel-rs")))
        .context("none of MCKERNEL_CACHE, XDG_CACHE_HOME and HOME is set")
}
