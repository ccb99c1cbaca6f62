// SPDX-License-Identifier: GPL-2.0
//! A stock kernel: Debian's binary to boot, and its source prepared so that modules built from it load there.

use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::setup::apt::Apt;
use crate::setup::archive::{self, Offers};
use crate::setup::catalogue::{self, Release, Wanted};
use crate::setup::chroot::Chroot;
use crate::setup::{base_tree, buildroot, cache, host};
use crate::ui;

const FETCH: &str = include_str!("../../setup/fetch-kernel.sh");
const SOURCE: &str = include_str!("../../setup/prepare-source.sh");
const OBJECTS: &str = include_str!("../../setup/prepare-objects.sh");
const FIRST_INIT: &str = include_str!("../../setup/first-init.sh");

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

    /// The source, prepared for building modules.
    ///
    /// # Errors
    /// It cannot be had or prepared.
    pub fn prepared(&self) -> Result<Prepared> {
        let source = source(&self.id)?;
        let build_root = buildroot::prepare()?;
        let root_name = build_root.file_name().unwrap_or_default().to_string_lossy();
        let release = &self.release;
        let key = cache::key(&[OBJECTS, SOURCE, &root_name]);
        let name = format!("objects-{release}-{key}");
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

/// Begins the objects of one flavour as a copy of another one's of the same version, if there is one: what does not
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

/// What modules are built with.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The source; builds see it at /source.
    pub source: PathBuf,
    /// What was made of it; builds see it at /linux.
    pub objects: PathBuf,
}

/// The kernel for `wanted`; fetched if it is missing. Debian is asked only if the release that the tests passed with
/// is not at hand.
///
/// # Errors
/// Neither the cache nor Debian has any kernel for it.
pub fn stock(wanted: &Wanted) -> Result<Kernel> {
    static CHOSEN: Mutex<BTreeMap<String, Kernel>> = Mutex::new(BTreeMap::new());
    let mut chosen = CHOSEN
        .lock()
        .map_err(|_| anyhow::anyhow!("a thread died"))?;
    let name = wanted.to_string();
    if let Some(kernel) = chosen.get(&name) {
        return Ok(kernel.clone());
    }
    let kernel = find(wanted)?;
    chosen.insert(name, kernel.clone());
    Ok(kernel)
}

/// Whether nothing need be fetched for `wanted`, as far as can be told without asking Debian.
///
/// # Errors
/// There is no place for a cache.
pub fn is_at_hand(wanted: &Wanted) -> Result<bool> {
    let series = wanted.series.as_deref();
    let fits = |kernel: &Kernel| {
        kernel.id.flavour == wanted.flavour
            && series.is_none_or(|series| kernel.id.version.series() == series)
            && whole(&kernel.id).is_some()
    };
    Ok(all_cached()?.iter().any(fits))
}

fn find(wanted: &Wanted) -> Result<Kernel> {
    let pinned = catalogue::pinned(wanted);
    if let Some(kernel) = pinned.first().and_then(whole) {
        return Ok(kernel);
    }
    match archive::offers(false) {
        // Lists of yesterday may name packages that a mirror has replaced since.
        Ok(offers) => among(wanted, &offers).or_else(|_| among(wanted, &archive::offers(true)?)),
        Err(error) => without_archive(wanted, error),
    }
}

/// The best of what is offered.
fn among(wanted: &Wanted, offers: &Offers) -> Result<Kernel> {
    let offered: Vec<Release> = offers.keys().cloned().collect();
    for choice in catalogue::choose(wanted, &offered)? {
        let release = choice.release;
        if let Some(warning) = choice.warning {
            ui::warn(&warning);
        }
        // What cannot be fetched today is no reason to take another series: that is an error.
        let kernel = match cached(&release) {
            Some(kernel) => kernel,
            None => fetch(&release, offers)?,
        };
        if has_rust(&kernel) {
            return Ok(kernel);
        }
        ui::warn(&format!("{release}: built without CONFIG_RUST"));
    }
    bail!(
        "Debian offers no kernel with Rust of the flavour {}",
        wanted.flavour.name()
    )
}

/// No mirror answers: whatever the cache has whole of the flavour, best first.
fn without_archive(wanted: &Wanted, error: anyhow::Error) -> Result<Kernel> {
    let usable = |kernel: &Kernel| whole(&kernel.id).is_some() && has_rust(kernel);
    let kernels = all_cached()?.into_iter().filter(usable);
    let releases: Vec<Release> = kernels.map(|it| it.id).collect();
    let choices = catalogue::choose(wanted, &releases).unwrap_or_default();
    match choices.first().and_then(|choice| cached(&choice.release)) {
        Some(kernel) => {
            ui::warn(&format!(
                "Debian cannot be asked what it offers ({error:#}); using {} from the cache",
                kernel.release
            ));
            Ok(kernel)
        }
        None => Err(error),
    }
}

/// The name of its cache entry.
fn name(release: &Release) -> String {
    let key = cache::key(&[FETCH, FIRST_INIT, &base_tree::name()]);
    format!("kernel-{release}-{key}")
}

/// The kernel, if it is at hand.
#[must_use]
pub fn cached(release: &Release) -> Option<Kernel> {
    let folder = cache::path(&name(release)).ok()?;
    folder.join("initrd").exists().then(|| Kernel {
        folder,
        id: release.clone(),
        release: release.to_string(),
    })
}

/// The kernel, if it and its source are at hand: Debian may have dropped the release between the two.
fn whole(release: &Release) -> Option<Kernel> {
    let source = cache::path(&source_name(release)).ok()?;
    cached(release).filter(|_| source.exists())
}

/// All kernels at hand.
///
/// # Errors
/// There is no place for a cache.
pub fn all_cached() -> Result<Vec<Kernel>> {
    let Ok(entries) = fs::read_dir(crate::paths::cache()?) else {
        return Ok(Vec::new());
    };
    let releases = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let release = name.strip_prefix("kernel-")?.rsplit_once('-')?.0;
        cached(&archive::release_of(release)?)
    });
    Ok(releases.collect())
}

/// Whether its modules can be written in Rust.
fn has_rust(kernel: &Kernel) -> bool {
    let config = fs::read_to_string(kernel.headers().join(".config"));
    config.is_ok_and(|config| config.lines().any(|line| line == "CONFIG_RUST=y"))
}

fn fetch(release: &Release, offers: &Offers) -> Result<Kernel> {
    let folder = cache::entry(&name(release), MIB[0], |folder| {
        fs::create_dir_all(folder)?;
        let names = &archive::packages(release)[..4];
        let step = format!("kernel {release}");
        run(
            &step,
            FETCH,
            folder,
            &[&release.to_string(), FIRST_INIT],
            names,
            &offers[release],
        )
    })?;
    Ok(Kernel {
        folder,
        id: release.clone(),
        release: release.to_string(),
    })
}

fn source_name(release: &Release) -> String {
    let key = cache::key(&[SOURCE, &base_tree::name()]);
    format!("source-{}-{key}", release.version)
}

/// The source of a version and kbuild's tools, for all its flavours.
fn source(release: &Release) -> Result<PathBuf> {
    cache::entry(&source_name(release), MIB[1], |folder| {
        fs::create_dir_all(folder)?;
        let offers = archive::offers(false)?;
        let version = offers.get(release).with_context(|| {
            format!("Debian does not offer the source of Linux {release} any more")
        })?;
        let names = &archive::packages(release)[4..];
        run(
            &format!("source of {}", release.version),
            SOURCE,
            folder,
            &[],
            names,
            version,
        )
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
    let apt = Apt::of_kernels()?;
    let chroot = apt.chroot(&base_tree::prepare()?)?.bind(folder, "/out");
    let mut command = Apt::script(&chroot, script);
    command.args(arguments);
    command.args(names.iter().map(|name| format!("{name}={version}")));
    ui::logged(step, &mut command)
}
