// SPDX-License-Identifier: GPL-2.0
//! A stock kernel: Debian's binary to boot, and its source prepared so that modules built from it load there.

mod choose;
mod entries;
mod fetch;
mod prepare;
mod scripts;

use std::path::PathBuf;

use crate::setup::catalogue::Release;

pub use choose::{is_at_hand, stock};
pub use entries::{all_cached, names};
pub use prepare::Prepared;

/// About what the entries take, MiB: a kernel as it is booted, its source, what is built of that.
pub const MIB: [u64; 3] = [400, 600, 300];

/// A stock kernel in the cache.
#[derive(Debug, Clone)]
pub struct Kernel {
    folder: PathBuf,
    /// Which one it is.
    pub id: Release,
    /// `uname -r`.
    pub release: String,
    /// The version of its packages, as in `7.3.4-1~bpo13+1`: there may be several of one release.
    pub version: String,
}

impl Kernel {
    /// The compressed kernel as Debian ships it.
    #[must_use]
    pub fn bzimage(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The ELF kernel taken out of it, with its description of types (BTF).
    #[must_use]
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// The initial RAM disk that mounts the guest's root.
    #[must_use]
    pub fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    /// The content of `/lib/modules/RELEASE`.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// The same as a disk.
    #[must_use]
    pub fn modules_disk(&self) -> PathBuf {
        self.folder.join("modules.ext4")
    }

    /// `.config` and `Module.symvers`.
    #[must_use]
    pub fn headers(&self) -> PathBuf {
        self.folder.join("headers")
    }
}
