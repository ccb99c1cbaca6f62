// SPDX-License-Identifier: GPL-2.0
//! What has to be there before anything is built or booted, made once and shared by all clones.

pub mod buildroot;
pub mod cache;
pub mod chroot;
pub mod guest_tree;
pub mod host;
pub mod kernel;
pub mod rust_src;

use anyhow::Result;
use std::path::PathBuf;

/// Everything that builds and boots need.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Debian tree with the target kernel's compilers and QEMU.
    pub build_root: PathBuf,
    /// The stock kernel: `release`, `vmlinuz`, `vmlinux`, `modules/`, `source/`.
    pub kernel: kernel::Kernel,
}

impl Environment {
    /// Makes what is missing, or waits for another run that is making it.
    ///
    /// # Errors
    /// A package cannot be had, or there is no way to become root.
    pub fn prepare() -> Result<Self> {
        let build_root = buildroot::prepare()?;
        let kernel = kernel::prepare(&build_root)?;
        Ok(Self { build_root, kernel })
    }
}
