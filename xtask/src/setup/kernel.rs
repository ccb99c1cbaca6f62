// SPDX-License-Identifier: GPL-2.0
//! The stock kernel: Debian's binary to boot, and its source prepared so that modules built from it load there.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::setup::{cache, chroot::Chroot};
use crate::ui;

/// The release that everything is tested with; the newest of the series stands in when Debian drops it.
const VERSION: &str = "7.2.12";
/// The suffix of `uname -r`, also make's LOCALVERSION.
pub const FLAVOUR: &str = "+deb13-cloud-amd64";

const SCRIPT: &str = include_str!("../../setup/kernel.sh");

/// The stock kernel in the cache.
#[derive(Debug, Clone)]
pub struct Kernel {
    folder: PathBuf,
    /// `uname -r`.
    pub release: String,
}

impl Kernel {
    /// The compressed kernel as Debian ships it.
    #[must_use]
    pub fn bzimage(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The ELF kernel taken out of it.
    #[must_use]
    pub fn vmlinux(&self) -> PathBuf {
        self.folder.join("vmlinux")
    }

    /// The content of `/lib/modules/RELEASE`.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// The prepared source; builds see it at `/linux`, where it was prepared.
    #[must_use]
    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }
}

/// Fetches and prepares the kernel if it is missing.
///
/// # Errors
/// Debian has no kernel of the series any more, or its source could not be prepared.
pub fn prepare(build_root: &Path) -> Result<Kernel> {
    let root_name = build_root.file_name().unwrap_or_default().to_string_lossy();
    let name = format!(
        "kernel-{VERSION}-{}",
        cache::key(&[VERSION, FLAVOUR, SCRIPT, &root_name])
    );
    let folder = cache::entry(&name, |folder| make(build_root, folder))?;
    let release = fs::read_to_string(folder.join("release"))
        .context("kernel release")?
        .trim_end()
        .to_string();
    if release != format!("{VERSION}{FLAVOUR}") {
        ui::warn(&format!(
            "Linux {VERSION}{FLAVOUR} is gone from Debian; using {release}"
        ));
    }
    Ok(Kernel { folder, release })
}

fn make(build_root: &Path, folder: &Path) -> Result<()> {
    let source = folder.join("source");
    fs::create_dir_all(&source)?;
    let chroot = Chroot::new(build_root)
        .bind(folder, "/out")
        .bind(&source, "/linux");
    chroot.share_resolver()?;
    let mut command = chroot.command("sh");
    ui::logged(
        "stock kernel and its source",
        command.args(["-c", SCRIPT, "kernel.sh", VERSION, FLAVOUR]),
    )?;
    Ok(())
}
