// SPDX-License-Identifier: GPL-2.0
//! The guest's root: a Debian 13 tree as one ext4 image.

use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::setup::apt::Apt;
use crate::setup::chroot::Chroot;
use crate::setup::{base_tree, cache, host};
use crate::ui;

/// Those that the base tree lacks.
const PACKAGES: &str =
    "bash coreutils python3 perl gcc libc6-dev make gawk bc bzip2 file procps strace gdb iproute2 util-linux numactl \
     sqlite3 git stress-ng";

/// Takes away what the installation has left in the tree mounted on `/tree`.
const CLEAN: &str = "rmdir /tree/apt || true; ";

/// Turns that tree into the image /out/`$1`; no journal and no lazy work, as it is thrown away.
const MAKE_IMAGE: &str =
    "mkfs.ext4 -F -q -d /tree -O '^has_journal,^resize_inode' -E lazy_itable_init=0 \"/out/$1\" 8G && chmod 644 \"/out/$1\"";

/// About what tree and image take, MiB.
pub const MIB: [u64; 2] = [1200, 1200];

/// About what the image of the base tree takes, MiB.
pub const SMALL_MIB: u64 = 200;

/// Names of the tree and of the image in the cache.
#[must_use]
pub fn names(extra: &str) -> [String; 2] {
    let tree = cache::key(&[&base_tree::name(), PACKAGES]);
    let image = cache::key(&[&tree, extra, &[CLEAN, MAKE_IMAGE].concat()]);
    [format!("guest-tree-{tree}"), format!("guest-{image}.ext4")]
}

/// Name of the image of the base tree in the cache.
#[must_use]
pub fn small_name() -> String {
    format!(
        "guest-small-{}.ext4",
        cache::key(&[&base_tree::name(), MAKE_IMAGE])
    )
}

/// The base tree as a root image: it has a shell and the usual small commands, and is there long before [`image`].
///
/// # Errors
/// It could not be made; the cache then stays as it was.
pub fn small_image() -> Result<PathBuf> {
    let tree = base_tree::prepare()?;
    // Others are at work in the base tree, so it stays as it is.
    cache::entry(&small_name(), SMALL_MIB, |image| {
        make_image(&tree, image, MAKE_IMAGE)
    })
}

/// The root image, the same for every kernel, with the additional Debian packages `install`.
///
/// # Errors
/// A package is unknown, or the image could not be made; the cache then stays as it was.
pub fn image(install: &[String]) -> Result<PathBuf> {
    let mut extra = install.to_vec();
    extra.sort();
    extra.dedup();
    check_names(&extra)?;
    let extra = extra.join(" ");
    let [_, name] = names(&extra);
    let tree = tree()?;
    let script = [CLEAN, MAKE_IMAGE].concat();
    cache::entry(&name, MIB[1], |image| {
        if extra.is_empty() {
            return make_image(&tree, image, &script);
        }
        let larger = image.with_extension("tree");
        let result =
            fill(&tree, &larger, &extra).and_then(|()| make_image(&larger, image, &script));
        cache::remove(&larger)?;
        result
    })
}

/// Debian's rule for package names; keeps options and paths out of apt-get's command line.
fn check_names(names: &[String]) -> Result<()> {
    for name in names {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c);
        let plausible =
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(valid);
        ensure!(plausible, "--install {name}: not a package name");
    }
    Ok(())
}

fn tree() -> Result<PathBuf> {
    let [name, _] = names("");
    cache::entry(&name, MIB[0], |tree| {
        base_tree::copy_to(tree)?;
        Apt::of_debian()?.install("guest tree", tree, PACKAGES)
    })
}

/// Makes `larger`: the tree and the additional packages.
fn fill(tree: &Path, larger: &Path, packages: &str) -> Result<()> {
    cache::remove(larger)?;
    host::as_root("cp", |command| {
        command
            .args(["-a", "--reflink=auto", "--"])
            .arg(tree)
            .arg(larger)
    })?;
    let step: String = format!("installing {packages}").chars().take(80).collect();
    Apt::of_debian()?.install(&step, larger, packages)
}

/// Runs `script` with `tree` and the place of `image`.
fn make_image(tree: &Path, image: &Path, script: &str) -> Result<()> {
    let folder = image.parent().context("image folder")?;
    fs::create_dir_all(folder)?;
    let name = image
        .file_name()
        .context("image name")?
        .to_string_lossy()
        .into_owned();
    let chroot = Chroot::new(&base_tree::prepare()?)
        .bind(tree, "/tree")
        .bind(folder, "/out");
    ui::logged(
        "guest image",
        chroot.command("sh").args(["-ec", script, "sh", &name]),
    )
}
