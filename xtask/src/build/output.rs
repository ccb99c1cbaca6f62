// SPDX-License-Identifier: GPL-2.0
//! Puts build results where the guest will find them.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// Copies `from` to `inside` of an overlay of the guest if that changed; the old file is replaced whole, since another run
/// may just be reading it.
///
/// # Errors
/// One of the files cannot be read or written.
pub fn install(from: &Path, overlay: &Path, inside: &str) -> Result<bool> {
    let to = overlay.join(inside);
    let content = fs::read(from).with_context(|| from.display().to_string())?;
    if fs::read(&to).is_ok_and(|present| present == content) {
        return Ok(false);
    }
    let folder = to.parent().context("no folder")?;
    fs::create_dir_all(folder)?;
    let name = to.file_name().context("no name")?.to_string_lossy();
    let unfinished = folder.join(format!(".{name}.tmp"));
    fs::copy(from, &unfinished).with_context(|| to.display().to_string())?;
    fs::rename(&unfinished, &to).with_context(|| to.display().to_string())?;
    Ok(true)
}
