// SPDX-License-Identifier: GPL-2.0
//! Clearing of the cache on request: everything that the rig has made there.

use anyhow::{ensure, Result};
use std::fs;

use crate::paths;
use crate::setup::cache;
use crate::setup::inventory::{alone, content, name, OURS};

/// Files of the cache that are no entries.
const FILES: [&str; 3] = ["tested.json", "times.json", cache::USERS];

/// Removes all that the rig has made in the cache, which nobody may be using; how many MiB that freed.
///
/// # Errors
/// Another run is using it, or it cannot be removed.
pub fn clear() -> Result<u64> {
    let cache = paths::cache()?;
    if !cache.exists() {
        return Ok(0);
    }
    let alone = alone(&cache)?;
    ensure!(
        alone.is_some(),
        "{}: another run, or what it started, is using it",
        cache.display()
    );
    let before = cache::free_mib(&cache)?;
    for entry in content(&cache) {
        if OURS.iter().any(|start| name(&entry).starts_with(start)) {
            cache::remove(&entry.path())?;
        }
    }
    for file in FILES {
        cache::remove(&cache.join(file))?;
    }
    // Fails if there is something else in it, which is not ours.
    let _ = fs::remove_dir(&cache);
    Ok(cache::free_mib(&cache)?.saturating_sub(before))
}
