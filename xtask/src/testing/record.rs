// SPDX-License-Identifier: GPL-2.0
//! A record of the kernels that passed tests here, and when: kept in the cache for `cargo xtask kernels`.

use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::date::date_of;
use crate::paths;

fn file() -> Result<PathBuf> {
    Ok(paths::cache()?.join("tested.json"))
}

/// By `uname -r`: a day, and how many tests passed and failed.
pub(crate) fn all() -> BTreeMap<String, String> {
    let text = file().and_then(|file| Ok(fs::read_to_string(file)?));
    text.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// Notes what came of testing `release`.
///
/// # Errors
/// The cache is not writable.
pub(crate) fn add(release: &str, passed: u64, failed: u64) -> Result<()> {
    let mut tested = all();
    let date = date_of(SystemTime::now());
    tested.insert(
        release.into(),
        format!("{date} ({passed} passed, {failed} failed)"),
    );
    let file = file()?;
    let unfinished = file.with_extension(std::process::id().to_string());
    fs::write(&unfinished, serde_json::to_string_pretty(&tested)?)?;
    Ok(fs::rename(unfinished, file)?)
}
