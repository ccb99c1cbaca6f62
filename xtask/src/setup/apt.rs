// SPDX-License-Identifier: GPL-2.0
//! Debian's packages: lists and downloads that all trees of the cache share, so that each is fetched once.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::lock;
use crate::paths;
use crate::setup::cache;
use crate::setup::chroot::Chroot;
use crate::ui;

/// How old the lists may be before they are fetched again.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// An apt that keeps lists and downloads in /apt, whatever tree it runs in. Debian's backports, where the kernels live,
/// are added to the mirrors that the tree was made from.
const APT: &str = r#"
apt() {
    tool=$1; shift
    if [ ! -e /apt/sources.list ]; then
        sed -n 'p; 1s/ trixie / trixie-backports /p' /etc/apt/sources.list >/apt/sources.list.$$
        mv /apt/sources.list.$$ /apt/sources.list
    fi
    mkdir -p /apt/lists/partial /apt/debs/partial
    "$tool" -qq -o Dir::Etc::sourcelist=/apt/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=/apt/lists \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Cache::archives=/apt/debs -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Acquire::Retries=2 -o Dpkg::Options::=--force-unsafe-io -o APT::Keep-Downloaded-Packages=true "$@"
}
"#;

/// Downloads packages, each named as NAME or NAME=VERSION, and unpacks them into the new folder `$1`.
pub const UNPACK: &str = r#"
unpack() {
    folder=$1; shift
    mkdir "$folder" "$folder.debs"
    (cd "$folder.debs" && apt apt-get download "$@")
    for deb in "$folder.debs"/*.deb; do
        dpkg-deb -x "$deb" "$folder"
    done
    rm -r "$folder.debs"
}
"#;

/// `$1` = packages, separated by spaces.
/// The trees are filled at the same time, each by one apt; what they share they only read by then.
const INSTALL: &str =
    "apt apt-get -o Debug::NoLocking=true --yes --no-install-recommends install $1\nrm -f /etc/resolv.conf";

/// The source of kernels, as a line of sources.list, if it is not Debian.
#[must_use]
pub fn source_of_kernels() -> Option<String> {
    let source = std::env::var("MCKERNEL_ARCHIVE").ok();
    source.filter(|it| !it.is_empty())
}

/// Name of the folder in the cache with the lists of a source; `None` stands for Debian.
#[must_use]
pub fn folder_name(source: Option<&str>) -> String {
    source.map_or("apt".into(), |it| format!("apt-{}", cache::key(&[it])))
}

/// The lists and downloads.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Those of Debian; or of the one source that `$MCKERNEL_ARCHIVE` names, as a line of sources.list, which must then
    /// have all kernels that are wanted.
    ///
    /// # Errors
    /// The cache is not writable.
    pub fn of_kernels() -> Result<Self> {
        let source = source_of_kernels();
        let apt = Self::with(source.as_deref())?;
        let Some(source) = source else {
            return Ok(apt);
        };
        let (list, text) = (apt.folder.join("sources.list"), format!("{source}\n"));
        // Written once: an apt may be reading it.
        if fs::read_to_string(&list).is_ok_and(|present| present == text) {
            return Ok(apt);
        }
        let unfinished = apt.folder.join(format!("sources.{}", std::process::id()));
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, list)?;
        Ok(apt)
    }

    /// Those of Debian.
    ///
    /// # Errors
    /// The cache is not writable.
    pub fn of_debian() -> Result<Self> {
        Self::with(None)
    }

    fn with(source: Option<&str>) -> Result<Self> {
        let folder = paths::cache()?.join(folder_name(source));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }

    /// Where they are; a chroot of [`Self::chroot`] sees it at /apt.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A chroot in `tree` that can use them.
    ///
    /// # Errors
    /// The host's resolver configuration cannot be copied.
    pub fn chroot(&self, tree: &Path) -> Result<Chroot> {
        let chroot = Chroot::new(tree).bind(&self.folder, "/apt");
        chroot.share_resolver()?;
        Ok(chroot)
    }

    /// A command that runs `script` in a chroot of [`Self::chroot`], with the shell functions
    /// `apt TOOL ARGUMENTS…` and `unpack FOLDER PACKAGES…`.
    #[must_use]
    pub fn script(chroot: &Chroot, script: &str) -> Command {
        let mut command = chroot.command("sh");
        command.args(["-euc", &format!("{APT}{UNPACK}{script}"), "sh"]);
        command
    }

    /// Fetches the lists if they are old, or in any case if `anyway`. `tree` is one with an apt.
    ///
    /// # Errors
    /// No mirror answers.
    pub fn update(&self, tree: &Path, anyway: bool) -> Result<()> {
        let _lock = lock::take(
            &self.folder.join("lock"),
            "another run is fetching Debian's package lists",
        )?;
        let stamp = self.folder.join("updated");
        if !anyway && is_fresh(&stamp) {
            return Ok(());
        }
        let chroot = self.chroot(tree)?;
        // A mirror that does not answer is an error, not a warning.
        let update = "apt apt-get -o APT::Update::Error-Mode=any update";
        ui::logged("package lists", &mut Self::script(&chroot, update))?;
        fs::write(stamp, "").context("apt lists")
    }

    /// Installs `packages`, separated by spaces, in `tree`.
    ///
    /// # Errors
    /// A package is unknown or cannot be fetched.
    pub fn install(&self, step: &str, tree: &Path, packages: &str) -> Result<()> {
        self.update(tree, false)?;
        let chroot = self.chroot(tree)?;
        let install = || {
            let _lock = lock::take(
                &self.folder.join("debs-lock"),
                "another run is fetching packages",
            )?;
            let fetch = "apt apt-get --yes --no-install-recommends --download-only install $1";
            ui::run_logged(
                &format!("{step} packages"),
                Self::script(&chroot, fetch).arg(packages),
            )
        };
        // Lists of yesterday may name packages that a mirror has replaced since.
        if install().is_err() {
            self.update(tree, true)?;
            install()?;
        }
        ui::logged(step, Self::script(&chroot, INSTALL).arg(packages))
    }
}

fn is_fresh(stamp: &Path) -> bool {
    let modified = fs::metadata(stamp).and_then(|it| it.modified());
    let age = modified.map(|it| SystemTime::now().duration_since(it).unwrap_or_default());
    age.is_ok_and(|age| age < FRESH)
}
