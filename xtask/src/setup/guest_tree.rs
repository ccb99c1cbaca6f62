// SPDX-License-Identifier: GPL-2.0
//! The guest's root: a Debian 13 tree with the stock kernel's modules, as one ext4 image.

use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::setup::{buildroot, cache, chroot::Chroot, host, Environment};
use crate::ui;

const PACKAGES: &str =
    "bash,coreutils,python3,perl,gcc,libc6-dev,make,gawk,bc,xz-utils,bzip2,zstd,file,procps,strace,gdb,kmod,\
                        iproute2,util-linux,busybox-static,numactl,sqlite3,git,stress-ng";

const FIRST_INIT: &str = include_str!("../../setup/first-init.sh");

/// Installs the packages named in `$1`.
const INSTALL: &str = "apt-get -qq update; apt-get --yes --no-install-recommends install $1";

/// Adds the kernel's modules and the first program that runs to the tree mounted on `/mnt`; `$1` = kernel release.
const FINISH: &str = r#"
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/resolv.conf
mkdir -p "/usr/lib/modules/$1"
cp -a /mnt/. "/usr/lib/modules/$1/"
printf %s "$2" >/sbin/first-init
chmod 755 /sbin/first-init
"#;

/// Turns the tree mounted on `/tree` into the image /out/`$1`; no journal and no lazy work, as it is thrown away.
const MAKE_IMAGE: &str =
    "mkfs.ext4 -F -q -d /tree -O '^has_journal,^resize_inode' -E lazy_itable_init=0 \"/out/$1\" 8G && chmod 644 \"/out/$1\"";

/// The root image with the additional Debian packages `install`.
///
/// # Errors
/// A package is unknown, or the image could not be made; the cache then stays as it was.
pub fn image(environment: &Environment, install: &[String]) -> Result<PathBuf> {
    let mut extra = install.to_vec();
    extra.sort();
    extra.dedup();
    check_names(&extra)?;
    let extra = extra.join(" ");
    let base = base_tree()?;
    let kernel = environment.kernel.modules();
    let key = cache::key(&[
        PACKAGES,
        &extra,
        INSTALL,
        FINISH,
        FIRST_INIT,
        MAKE_IMAGE,
        &kernel.to_string_lossy(),
    ]);
    cache::entry(&format!("guest-{key}.ext4"), |image| {
        let tree = image.with_extension("tree");
        let result = fill(environment, &base, &tree, &extra)
            .and_then(|()| make_image(environment, &tree, image));
        cache::remove(&tree)?;
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

fn base_tree() -> Result<PathBuf> {
    cache::entry(&format!("guest-tree-{}", cache::key(&[PACKAGES])), |tree| {
        host::prepare()?;
        buildroot::debootstrap("guest tree", PACKAGES, tree)
    })
}

/// Makes `tree`: the base, the additional packages, the kernel's modules and the first program that runs.
fn fill(environment: &Environment, base: &Path, tree: &Path, packages: &str) -> Result<()> {
    cache::remove(tree)?;
    host::as_root("cp", |command| {
        command.arg("-a").arg("--").arg(base).arg(tree)
    })?;
    let chroot = Chroot::new(tree).bind(&environment.kernel.modules(), "/mnt");
    if !packages.is_empty() {
        chroot.share_resolver()?;
        let name: String = format!("installing {packages}").chars().take(80).collect();
        ui::logged(
            &name,
            chroot.command("sh").args(["-ec", INSTALL, "sh", packages]),
        )?;
    }
    let release = &environment.kernel.release;
    ui::run_logged(
        "guest tree",
        chroot
            .command("sh")
            .args(["-ec", FINISH, "sh", release, FIRST_INIT]),
    )
}

fn make_image(environment: &Environment, tree: &Path, image: &Path) -> Result<()> {
    let folder = image.parent().context("image folder")?;
    fs::create_dir_all(folder)?;
    let name = image
        .file_name()
        .context("image name")?
        .to_string_lossy()
        .into_owned();
    let chroot = Chroot::new(&environment.build_root)
        .bind(tree, "/tree")
        .bind(folder, "/out");
    ui::logged(
        "guest image",
        chroot.command("sh").args(["-ec", MAKE_IMAGE, "sh", &name]),
    )
}
