// SPDX-License-Identifier: GPL-2.0
//! The host's own packages, and the right to act as root.
//!
//! Little is asked of the host: QEMU and all compilers but cargo's come from the build root.

use anyhow::{bail, ensure, Context, Result};
use nix::unistd::geteuid;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::ends_with_us;
use crate::lock;
use crate::ui;

/// The font that plots are labelled with.
pub const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

/// Files that must be there, and the packages that bring them.
const NEEDED: [(&str, &str); 3] = [
    ("/usr/bin/mmdebstrap", "mmdebstrap"),
    (
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
    ),
    (FONT, "fonts-dejavu-core"),
];

/// A command that runs `program` as root: directly, or by a passwordless sudo.
#[must_use]
pub fn root_command(program: &str) -> Command {
    if geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "--", program]);
    command
}

/// A command that runs `program` as root, and the end of which is the end of all that it has started: they have a
/// namespace of process numbers to themselves. Mounts stay there, too.
#[must_use]
pub fn root_family(program: &str) -> Command {
    let mut command = root_command("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["--", program]);
    ends_with_us(&mut command);
    command
}

/// Runs `program` as root, with what `arguments` adds, and waits for it.
///
/// # Errors
/// It could not be run or failed; the last line of its output is part of the message.
pub fn as_root(program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = root_command(program);
    let output = ends_with_us(arguments(&mut command))
        .stdin(lock::stdin())
        .output()
        .with_context(|| format!("running {program}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program}: {}: {}",
        output.status,
        error.lines().last().unwrap_or_default()
    );
    Ok(())
}

/// Installs the host packages that are missing, after checking that we may.
///
/// # Errors
/// No root and no passwordless sudo, or apt-get failed.
pub fn prepare() -> Result<()> {
    check_root()?;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(file, _)| !Path::new(file).exists())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    ui::step("host packages", || {
        ui::run_logged("apt-get update", root_command("apt-get").arg("update"))?;
        let mut install = root_command("env");
        install.args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "--yes",
            "--no-install-recommends",
        ]);
        ui::run_logged("apt-get install", install.args(missing))
    })
}

fn check_root() -> Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status();
    match sudo {
        Ok(status) if status.success() => Ok(()),
        _ => bail!(
            "the build root and the guest image are made with mmdebstrap: run as root or allow passwordless sudo"
        ),
    }
}
