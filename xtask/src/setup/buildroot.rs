// SPDX-License-Identifier: GPL-2.0
//! The build root: a Debian 13 tree with the compilers that built the target kernel, and with QEMU.
//!
//! Programs of it run either in a chroot or, where no other part of the tree matters, directly through the tree's own
//! dynamic loader (see [`native`]).

use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::{cache, chroot::Chroot, host};
use crate::ui;

/// The Debian release whose compilers built the target kernel.
pub const SUITE: &str = "trixie";

const PACKAGES: &[&str] = &[
    // What Debian built its kernel with.
    "gcc-14",
    "rustc",
    "rust-src",
    "bindgen",
    "libclang-19-dev",
    "pahole",
    // What a kernel build calls.
    "bc",
    "bison",
    "cpio",
    "flex",
    "kmod",
    "libelf-dev",
    "libssl-dev",
    "make",
    "perl",
    "python3-minimal",
    "rsync",
    "xz-utils",
    "zstd",
    // Linker of the co-kernel; compilers of the guest's test programs; image maker; emulator.
    "lld",
    "gcc",
    "libc6-dev",
    "e2fsprogs",
    "qemu-system-x86",
    "ca-certificates",
];

/// Debian's backports, where the target kernel lives, are added to whatever mirror debootstrap chose.
const ADD_BACKPORTS: &str =
    "sed 's/ trixie / trixie-backports /' /etc/apt/sources.list >/etc/apt/sources.list.d/backports.list";

/// The build root, made if it is missing.
///
/// # Errors
/// debootstrap failed.
pub fn prepare() -> Result<PathBuf> {
    let packages = PACKAGES.join(",");
    let name = format!(
        "build-root-{}",
        cache::key(&[SUITE, &packages, ADD_BACKPORTS])
    );
    cache::entry(&name, |tree| {
        host::prepare()?;
        debootstrap("build root", &packages, tree)?;
        let chroot = Chroot::new(tree);
        chroot.share_resolver()?;
        ui::run_logged(
            "build root backports",
            chroot.command("sh").args(["-c", ADD_BACKPORTS]),
        )
    })
}

/// Makes a minimal Debian tree with `packages` (separated by commas) at `tree`.
///
/// # Errors
/// debootstrap failed: no network, or a package is unknown.
pub fn debootstrap(step: &str, packages: &str, tree: &Path) -> Result<()> {
    let mut command = host::root_command("debootstrap");
    command
        .args(["--variant=minbase", &format!("--include={packages}"), SUITE])
        .arg(tree);
    ui::logged(step, &mut command)
}

/// A command that runs the build root's `program` (a path inside it) on the host, through the build root's own loader.
#[must_use]
pub fn native(build_root: &Path, program: &str) -> Command {
    let mut command = Command::new(build_root.join("lib64/ld-linux-x86-64.so.2"));
    let libraries = build_root.join("usr/lib/x86_64-linux-gnu");
    command
        .arg("--library-path")
        .arg(libraries)
        .arg("--argv0")
        .arg(program)
        .arg(build_root.join(&program[1..]));
    command
}
