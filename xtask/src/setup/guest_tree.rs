// SPDX-License-Identifier: GPL-2.0
//! The guest's root: a Debian 13 tree with the stock kernel's modules, as one ext4 image.

use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::setup::{buildroot, cache, chroot::Chroot, host, Environment};
use crate::ui;

const PACKAGES: &str = "bash,coreutils,python3,perl,gcc,libc6-dev,make,gawk,bc,xz-utils,bzip2,zstd,file,procps,strace,gdb,kmod,\
                        iproute2,util-linux,busybox-static,numactl";

const FIRST_INIT: &str = include_str!("../../setup/first-init.sh");

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
    let base_key = cache::key(&[PACKAGES, FINISH, FIRST_INIT, MAKE_IMAGE, &environment.kernel.release]);
    let base = base_tree(environment, &base_key)?;
    if extra.is_empty() {
        return cache::entry(&format!("guest-{base_key}.ext4"), |image| make_image(environment, &base, image));
    }
    let key = cache::key(&[&base_key, &extra.join(",")]);
    cache::entry(&format!("guest-{key}.ext4"), |image| {
        let tree = image.with_extension("tree");
        let result = extend(&base, &tree, &extra).and_then(|()| make_image(environment, &tree, image));
        host::as_root("rm", |command| command.args(["-rf", "--one-file-system", "--"]).arg(&tree))?;
        result
    })
}

/// Debian's rule for package names; keeps options and paths out of apt-get's command line.
fn check_names(names: &[String]) -> Result<()> {
    for name in names {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.:".contains(c);
        let plausible = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(valid);
        ensure!(plausible, "--install {name}: not a package name");
    }
    Ok(())
}

fn base_tree(environment: &Environment, key: &str) -> Result<PathBuf> {
    cache::entry(&format!("guest-tree-{key}"), |tree| {
        host::prepare()?;
        buildroot::debootstrap("guest tree", PACKAGES, tree)?;
        let chroot = Chroot::new(tree).bind(&environment.kernel.modules(), "/mnt");
        let release = &environment.kernel.release;
        ui::run_logged("guest tree finish", chroot.command("sh").args(["-ec", FINISH, "sh", release, FIRST_INIT]))
    })
}

fn extend(base: &Path, tree: &Path, packages: &[String]) -> Result<()> {
    host::as_root("rm", |command| command.args(["-rf", "--one-file-system", "--"]).arg(tree))?;
    host::as_root("cp", |command| command.arg("-a").arg("--").arg(base).arg(tree))?;
    let chroot = Chroot::new(tree);
    chroot.share_resolver()?;
    let install = format!(
        "apt-get -qq update && apt-get -y --no-install-recommends install {} && \
         rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /etc/resolv.conf",
        packages.join(" ")
    );
    let name = format!("installing {}", packages.join(" "));
    let short: String = name.chars().take(80).collect();
    ui::logged(&short, chroot.command("sh").args(["-ec", &install]))
}

fn make_image(environment: &Environment, tree: &Path, image: &Path) -> Result<()> {
    let folder = image.parent().context("image folder")?;
    fs::create_dir_all(folder)?;
    let name = image.file_name().context("image name")?.to_string_lossy().into_owned();
    let chroot = Chroot::new(&environment.build_root).bind(tree, "/tree").bind(folder, "/out");
    ui::logged("guest image", chroot.command("sh").args(["-ec", MAKE_IMAGE, "sh", &name]))
}
