// SPDX-License-Identifier: GPL-2.0
//! The node's commands and the guest's process 1, as static position-independent programs.

use anyhow::{ensure, Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::output;
use crate::paths;
use crate::ui;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Static: they must not depend on the guest's libraries; mcexec besides has to keep the app's addresses free.
const FLAGS: &str = "-C target-feature=+crt-static -C relocation-model=pie";

/// Packages whose programs go into the guest, and where to.
const PACKAGES: [(&str, &str); 3] = [
    ("guest-init", "usr/lib/mckernel-rs"),
    ("ihk-tools", "usr/local/sbin"),
    ("mcexec", "usr/local/bin"),
];

/// The library that C programs link with.
const LIBRARY: &str = "libmckernel";

/// Where that library is after [`build`].
#[must_use]
pub fn library() -> PathBuf {
    target_folder().join(TARGET).join("release/libmckernel.a")
}

/// Builds the programs of those packages that exist.
///
/// # Errors
/// One does not build.
pub fn build() -> Result<()> {
    let programs = programs()?;
    ui::step("tools", || {
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(paths::repository())
            .env("RUSTFLAGS", FLAGS)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            // They travel into the guest at each boot, so they had better be small.
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
        cargo
            .args(["build", "--release", "--target", TARGET, "--target-dir"])
            .arg(target_folder());
        for package in programs
            .iter()
            .map(|(package, ..)| package.as_str())
            .chain([LIBRARY])
        {
            cargo.args(["-p", package]);
        }
        ui::run_logged("tools", &mut cargo)
    })?;
    for (_, name, folder) in &programs {
        let built = target_folder().join(TARGET).join("release").join(name);
        output::install(&built, &paths::guest_overlay(), &format!("{folder}/{name}"))?;
    }
    Ok(())
}

fn target_folder() -> PathBuf {
    paths::target().join("tools")
}

/// (package, program, folder in the guest) of all that is to be built.
fn programs() -> Result<Vec<(String, String, &'static str)>> {
    let metadata = metadata(paths::repository())?;
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, folder)) = PACKAGES.iter().find(|(wanted, _)| *wanted == name) else {
            continue;
        };
        for target in package["targets"].as_array().into_iter().flatten() {
            if target["kind"][0] == "bin" {
                found.push((
                    name.to_string(),
                    target["name"].as_str().unwrap_or_default().to_string(),
                    *folder,
                ));
            }
        }
    }
    Ok(found)
}

/// What cargo knows of the workspace's own packages.
pub(crate) fn metadata(folder: &Path) -> Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(folder)
        .args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
