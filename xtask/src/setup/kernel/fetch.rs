// SPDX-License-Identifier: GPL-2.0
//! Fetches a kernel's packages, and makes entries of the cache of them.

use anyhow::{ensure, Result};
use std::fs;
use std::path::{Path, PathBuf};

use super::entries::names_now;
use super::scripts::{FIRST_INIT, KERNEL, SOURCE};
use super::{Kernel, MIB};
use crate::setup::apt::Apt;
use crate::setup::archive;
use crate::setup::catalogue::Release;
use crate::setup::{base_tree, cache};
use crate::ui;

/// The kernel from packages of `version`.
pub(super) fn kernel(release: &Release, version: &str) -> Result<Kernel> {
    let [name, _] = names_now(release, version);
    let folder = cache::entry(&name, MIB[0], |folder| {
        let step = format!("kernel {release}");
        let arguments = [&release.to_string(), FIRST_INIT];
        let packages = &archive::packages(release)[..4];
        run(&step, KERNEL, folder, &arguments, packages, version)
    })?;
    Ok(Kernel {
        folder,
        id: release.clone(),
        release: release.to_string(),
        version: version.to_string(),
    })
}

/// The source of a kernel and kbuild's tools, for all its flavours.
pub(super) fn source(kernel: &Kernel) -> Result<PathBuf> {
    let Kernel { id, version, .. } = kernel;
    let [_, name] = names_now(id, version);
    cache::entry(&name, MIB[1], |folder| {
        ensure!(
            archive::offers(false)?.get(id) == Some(version),
            "Debian does not offer the source of Linux {id} ({version}) any more"
        );
        let step = format!("source of {}", id.version);
        let packages = &archive::packages(id)[4..];
        run(&step, SOURCE, folder, &[], packages, version)
    })
}

/// Runs `script` in the base tree with `arguments` and the packages `names` of `version`; its result is `folder`.
fn run(
    step: &str,
    script: &str,
    folder: &Path,
    arguments: &[&str],
    names: &[String],
    version: &str,
) -> Result<()> {
    fs::create_dir_all(folder)?;
    let apt = Apt::of_kernels()?;
    let chroot = apt.chroot(&base_tree::prepare()?)?.bind(folder, "/out");
    let mut command = Apt::script(&chroot, script);
    command.args(arguments);
    command.args(names.iter().map(|name| format!("{name}={version}")));
    ui::logged(step, &mut command)
}
