// SPDX-License-Identifier: GPL-2.0
//! The co-kernel: host cargo drives the build root's rustc, the very compiler of the target kernel.
//!
//! That compiler runs through the build root's own loader, so this half needs no chroot and no root; the standard
//! library's core and alloc are built from the build root's source, as Debian ships none for this target.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::output;
use crate::paths;
use crate::setup::buildroot;
use crate::ui;

const TARGET: &str = "x86_64-unknown-none";
const IMAGE: &str = "usr/lib/ihk/cokernel.elf";

/// Builds the co-kernel image if its package exists.
///
/// # Errors
/// It does not build.
pub fn build() -> Result<()> {
    if !paths::repository().join("cokernel/Cargo.toml").exists() {
        return Ok(());
    }
    let target = paths::target().join("cokernel");
    let build_root = buildroot::prepare()?;
    ui::step("co-kernel", || {
        ui::run_logged("co-kernel", &mut cargo(&build_root, &target)?)
    })?;
    let built = target.join(TARGET).join("release/cokernel");
    output::install(&built, &paths::guest_overlay(), IMAGE)?;
    Ok(())
}

/// A cargo that uses the build root's rustc.
fn cargo(build_root: &Path, target: &Path) -> Result<Command> {
    fs::create_dir_all(target)?;
    let rustc = wrapper(target, build_root, "rustc", "usr/bin/rustc")?;
    let linker = wrapper(target, build_root, "ld.lld", "usr/bin/ld.lld")?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::repository());
    cargo
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTDOC");
    // Linked to run at one address; frame pointers make the panic report's backtrace. The file is copied into the
    // partition at each boot as it is, and debug information would be nine tenths of it, so none is made; symbols stay.
    let flags = "-Crelocation-model=static -Cforce-frame-pointers=yes -Cstrip=debuginfo";
    cargo.env(
        "RUSTFLAGS",
        format!("-Clinker={} {flags}", linker.display()),
    );
    cargo.args([
        "build",
        "--release",
        "--package",
        "cokernel",
        "--bin",
        "cokernel",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    cargo.arg(target).args([
        "-Zbuild-std=core,alloc,compiler_builtins",
        "-Zbuild-std-features=compiler-builtins-mem",
    ]);
    Ok(cargo)
}

/// A script that runs one of the build root's programs through the build root's loader.
fn wrapper(folder: &Path, build_root: &Path, name: &str, program: &str) -> Result<PathBuf> {
    let root = build_root.display();
    let text = format!(
        "#!/bin/sh\nexec '{root}/lib64/ld-linux-x86-64.so.2' --library-path '{root}/usr/lib/x86_64-linux-gnu' \
         --argv0 '{root}/usr/bin/{name}' '{root}/{program}' \"$@\"\n"
    );
    let path = folder.join(name);
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(path);
    }
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
