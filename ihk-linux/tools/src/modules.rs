// SPDX-License-Identifier: GPL-2.0
//! The kernel modules, by modprobe.

use std::path::Path;
use std::process::Command;

use crate::failure::{plain, Failure, Result};

/// Whether mcctrl is there.
#[must_use]
pub fn loaded() -> bool {
    Path::new("/sys/module/mcctrl").exists()
}

/// Loads mcctrl and what it needs (ihk); nothing happens if they are there.
///
/// # Errors
///
/// modprobe's.
pub fn load() -> Result {
    modprobe(&["mcctrl"])
}

/// Unloads both modules, as far as they are loaded.
///
/// # Errors
///
/// modprobe's: they are in use.
pub fn unload() -> Result {
    for name in ["mcctrl", "ihk"] {
        if Path::new("/sys/module").join(name).exists() {
            modprobe(&["-r", name])?;
        }
    }
    Ok(())
}

fn modprobe(arguments: &[&str]) -> Result {
    let what = format!("modprobe {}", arguments.join(" "));
    let output = Command::new("modprobe").args(arguments).output();
    let output = output.map_err(|error| Failure::refused(&what, plain(&error)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("failed");
    Err(Failure::refused(
        what,
        line.trim_start_matches("modprobe: "),
    ))
}
