// SPDX-License-Identifier: GPL-2.0
//! Prepares a kernel's source for building modules.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use super::{fetch, Kernel, MIB};
use crate::setup::chroot::Chroot;
use crate::setup::{buildroot, cache, host};
use crate::ui;

const OBJECTS: &str = include_str!("../../../setup/prepare-objects.sh");

/// What modules are built with.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The source; builds see it at /source.
    pub source: PathBuf,
    /// What was made of it; builds see it at /linux.
    pub objects: PathBuf,
}

impl Kernel {
    /// The source, prepared for building modules.
    ///
    /// # Errors
    /// It cannot be had or prepared.
    pub fn prepared(&self) -> Result<Prepared> {
        let source = fetch::source(self)?;
        let build_root = buildroot::prepare()?;
        let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
        let made_of = [name(&source), name(&build_root)].map(Option::unwrap_or_default);
        let key = cache::key(&[OBJECTS, &made_of[0], &made_of[1]]);
        let Self {
            release, version, ..
        } = self;
        let name = format!("objects-{release}_{version}-{key}");
        let objects = cache::entry(&name, MIB[2], |folder| {
            begin(folder, &format!("objects-{}", self.id.version), &key)?;
            let chroot = Chroot::new(&build_root)
                .bind(&source.join("source"), "/source")
                .bind(&source.join("kbuild"), "/kbuild")
                .bind(&self.headers(), "/headers")
                .bind(folder, "/linux");
            let mut command = chroot.command("sh");
            let suffix = self.id.flavour.suffix();
            command.args(["-c", OBJECTS, "prepare-objects.sh", release, suffix]);
            ui::logged(&format!("preparing {release}"), &mut command)
        })?;
        let source = source.join("source");
        Ok(Prepared { source, objects })
    }
}

/// Begins the objects of one flavour as a copy of another one's of the same source, if there is one: what does not
/// depend on the configuration is built once.
fn begin(folder: &Path, start: &str, key: &str) -> Result<()> {
    let cache = folder.parent().context("cache")?;
    let sibling = fs::read_dir(cache)?.flatten().find(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(&format!("{start}+")) && name.ends_with(key)
    });
    match sibling {
        Some(sibling) => host::as_root("cp", |command| {
            command
                .args(["-a", "--reflink=auto", "--"])
                .arg(sibling.path())
                .arg(folder)
        }),
        None => Ok(fs::create_dir_all(folder)?),
    }
}
