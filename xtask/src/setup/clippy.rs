// SPDX-License-Identifier: GPL-2.0
//! The linter of the compiler that the target kernels were built with, beside the build root: it is of the very same
//! version, because it reads what that compiler wrote about the kernel's crates.

use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::PathBuf;

use crate::setup::chroot::Chroot;
use crate::setup::{apt::Apt, base_tree, buildroot, cache};
use crate::ui;

/// `$1` = version: fetches the package and puts the program into /out.
const FETCH: &str = r#"
cd /out
apt apt-get download "rust-clippy=$1"
dpkg-deb -x rust-clippy_*.deb unpacked
mv unpacked/usr/bin/clippy-driver .
rm -rf unpacked rust-clippy_*.deb
"#;

/// About what it takes, MiB.
const MIB: u64 = 15;

/// The folder with `clippy-driver`, which runs in the build root.
///
/// # Errors
/// The package cannot be had.
pub fn prepare() -> Result<PathBuf> {
    let build_root = buildroot::prepare()?;
    let name = format!("clippy-{}", cache::key(&[&buildroot::name(), FETCH]));
    cache::entry(&name, MIB, |folder| {
        fs::create_dir_all(folder)?;
        let mut query = Chroot::new(&build_root).command("dpkg-query");
        let output = query.args(["-W", "-f", "${Version}", "rustc"]).output();
        let output = output.context("dpkg-query")?;
        ensure!(output.status.success(), "the build root has no rustc");
        let version = String::from_utf8(output.stdout)?;
        let apt = Apt::of_debian()?;
        let base = base_tree::prepare()?;
        apt.update(&base, false)?;
        let chroot = apt.chroot(&base)?.bind(folder, "/out");
        let mut fetch = Apt::script(&chroot, FETCH);
        ui::logged("linter of the modules", fetch.arg(version))
    })
}
