// SPDX-License-Identifier: GPL-2.0
//! The smallest Debian 13 tree that can install packages and take kernels apart: the other trees begin as copies of it.

use anyhow::Result;
use std::path::{Path, PathBuf};

use crate::setup::{cache, host};
use crate::ui;

/// The Debian release whose compilers built the target kernels.
pub const SUITE: &str = "trixie";

/// What unpacks kernels and makes images, besides the smallest tree itself.
const PACKAGES: &str = "busybox-static,ca-certificates,e2fsprogs,kmod,xz-utils,zstd";

/// About what it takes, MiB.
pub const MIB: u64 = 200;

/// Its name in the cache.
#[must_use]
pub fn name() -> String {
    format!("base-{}", cache::key(&[SUITE, PACKAGES]))
}

/// The tree, made if it is missing.
///
/// # Errors
/// No network, or no right to become root.
pub fn prepare() -> Result<PathBuf> {
    cache::entry(&name(), MIB, |tree| {
        host::prepare()?;
        let mut command = host::root_family("mmdebstrap");
        command
            .args(["--variant=minbase", "--dpkgopt=force-unsafe-io"])
            .arg("--aptopt=Acquire::Languages \"none\"")
            .arg(format!("--include={PACKAGES}"))
            .arg(SUITE)
            .arg(tree);
        ui::logged("base tree", &mut command)
    })
}

/// Makes `tree` a copy of the base tree.
///
/// # Errors
/// The disk is full.
pub fn copy_to(tree: &Path) -> Result<()> {
    let base = prepare()?;
    host::as_root("cp", |command| {
        command
            .args(["-a", "--reflink=auto", "--"])
            .arg(base)
            .arg(tree)
    })
}
