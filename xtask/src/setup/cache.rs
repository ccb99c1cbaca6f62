// SPDX-License-Identifier: GPL-2.0
//! Entries of the cache: each named by what it was made from, made under a lock, and there whole or not at all.

use anyhow::{Context, Result};
use fs2::FileExt;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths;
use crate::setup::host;

/// Twelve hexadecimal digits that stand for the content of `parts`.
#[must_use]
pub fn key(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The entry `name`; if it is missing, `make` makes it at the path it is given, which is renamed at the end.
///
/// # Errors
/// Those of `make`, or the cache is not writable.
pub fn entry(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = paths::cache()?;
    let path = cache.join(name);
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let _lock = lock(&cache.join("lock"), "another run is preparing the cache")?;
    if path.exists() {
        return Ok(path);
    }
    let unfinished = cache.join(format!("{name}.tmp"));
    remove(&unfinished)?;
    make(&unfinished)?;
    host::as_root("mv", |command| {
        command.arg("-T").arg(&unfinished).arg(&path)
    })?;
    Ok(path)
}

/// Removes a file or tree of root's, if it is there.
///
/// # Errors
/// It cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    host::as_root("rm", |command: &mut Command| {
        command.args(["-rf", "--one-file-system", "--"]).arg(path)
    })
}

/// Takes the lock file for as long as the returned value lives; says `reason` if that means waiting.
///
/// # Errors
/// The lock file cannot be made.
pub fn lock(path: &Path, reason: &str) -> Result<File> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| path.display().to_string())?;
    if file.try_lock_exclusive().is_err() {
        eprintln!("xtask: {reason}; waiting");
        file.lock_exclusive()
            .with_context(|| path.display().to_string())?;
    }
    Ok(file)
}
