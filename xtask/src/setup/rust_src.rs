// SPDX-License-Identifier: GPL-2.0
//! The source of the host compiler's standard library, for ThreadSanitizer, which wants the library instrumented too.
//!
//! A rustup that has the component `rust-src` offers it by itself; else Debian's backports usually have the version.

use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

use crate::setup::apt::{Apt, UNPACK};
use crate::setup::{base_tree, cache};
use crate::ui;

/// `$1` = version: fetches the package and puts its `library` folder into /out.
const FETCH: &str = r#"
cd /out
unpack unpacked "$(apt apt-cache madison rust-src | awk -v v="$1" 'index($3, v) == 1 { print "rust-src=" $3; exit }')"
mv "$(dirname "$(find unpacked -type d -path '*/library/std' ! -path '*/tests/*' | head -n 1)")" library
rm -r unpacked
test -d library/std
"#;

/// About what it takes, MiB.
const MIB: u64 = 100;

/// The `library` folder for the host's rustc, or `None` with a warning if there is none to be had.
#[must_use]
pub fn library() -> Option<PathBuf> {
    find()
        .inspect_err(|error| ui::warn(&format!("no source of the standard library: {error:#}")))
        .ok()
}

fn find() -> Result<PathBuf> {
    let own = PathBuf::from(rustc(&["--print", "sysroot"])?).join("lib/rustlib/src/rust/library");
    if own.join("std").is_dir() {
        return Ok(own);
    }
    let version = rustc(&["--version"])?;
    let version = version.split(' ').nth(1).context("rustc --version")?;
    let name = format!("rust-src-{version}-{}", cache::key(&[FETCH, UNPACK]));
    let folder = cache::entry(&name, MIB, |folder| {
        std::fs::create_dir_all(folder)?;
        let apt = Apt::of_debian()?;
        let base = base_tree::prepare()?;
        apt.update(&base, false)?;
        let chroot = apt.chroot(&base)?.bind(folder, "/out");
        ui::logged(
            "standard library source",
            Apt::script(&chroot, FETCH).arg(version),
        )
    })?;
    Ok(folder.join("library"))
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc")
        .args(arguments)
        .output()
        .context("rustc")?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_string())
}
