// SPDX-License-Identifier: GPL-2.0
//! The virtio-serial ports that join guest and host, found by name.
//!
//! A port can be opened only once at a time and each write costs a device round trip, so no program under test ever
//! holds one: they get pipes, and process 1 copies.

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::PathBuf;

fn path_of(name: &str) -> Result<PathBuf> {
    for entry in fs::read_dir("/sys/class/virtio-ports").context("virtio-ports")? {
        let entry = entry?;
        // A console port has no name; only ours do.
        let found = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if found.trim_end() == name {
            return Ok(PathBuf::from("/dev").join(entry.file_name()));
        }
    }
    anyhow::bail!("virtio port {name}: not found")
}

/// Opens the port that carries data to the host under `name`.
pub(crate) fn open_for_writing(name: &str) -> Result<File> {
    let path = path_of(name)?;
    File::options()
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())
}

/// Opens the port that carries data from the host under `name`; it ends when the host half-closes.
pub(crate) fn open_for_reading(name: &str) -> Result<File> {
    let path = path_of(name)?;
    File::open(&path).with_context(|| path.display().to_string())
}
