// SPDX-License-Identifier: GPL-2.0
//! The rig's entries in the cache, and whether anybody else is using it.

use anyhow::Result;
use fs2::FileExt;
use std::fs::{self, DirEntry, File};
use std::path::{Path, PathBuf};

use crate::lock;
use crate::setup::cache;

/// The beginnings of all names that the rig makes in the cache; all else there is somebody else's.
pub(super) const OURS: [&str; 9] = [
    "apt",
    "base-",
    "build-root-",
    "guest-",
    "kernel-",
    "objects-",
    "rust-src-",
    "source-",
    "locks",
];

/// Nobody else uses the cache while the returned file is open; `None` if somebody does, which may also be what a killed
/// run has started.
pub(super) fn alone(cache: &Path) -> Result<Option<File>> {
    let users = lock::open(&cache.join(cache::USERS))?;
    if users.try_lock_exclusive().is_err() {
        return Ok(None);
    }
    let free = locks(cache).iter().all(|path| lock::is_free(path));
    Ok(free.then_some(users))
}

/// The lock files of entries, and of what apt keeps.
fn locks(cache: &Path) -> Vec<PathBuf> {
    let of_entries = content(&cache.join("locks")).map(|file| file.path());
    let apts = content(cache).filter(|entry| name(entry).starts_with("apt"));
    let of_apts = apts.flat_map(|apt| ["lock", "debs-lock"].map(|name| apt.path().join(name)));
    of_entries.chain(of_apts).collect()
}

/// The entries of `folder`.
pub(super) fn content(folder: &Path) -> impl Iterator<Item = DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

/// The name of `entry`.
pub(super) fn name(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn nobody_is_alone_with_a_cache_that_another_run_or_its_child_uses() {
        let cache = std::env::temp_dir().join(format!("alone-{}", std::process::id()));
        fs::create_dir_all(cache.join("locks")).unwrap();
        let entry = cache.join("locks/base-0123456789ab");
        drop(lock::open(&entry).unwrap());
        // A child that another test is just starting may have a copy of our descriptors for a moment.
        let is_alone = || {
            let mut tries = 0..100;
            tries.any(|_| {
                std::thread::sleep(Duration::from_millis(5));
                alone(&cache).unwrap().is_some()
            })
        };
        let user = lock::open(&cache.join(cache::USERS)).unwrap();
        FileExt::lock_shared(&user).unwrap();
        assert!(alone(&cache).unwrap().is_none());
        drop(user);
        let lock = lock::take(&entry, "not free").unwrap();
        assert!(alone(&cache).unwrap().is_none());
        drop(lock);
        assert!(is_alone());
        fs::remove_dir_all(&cache).unwrap();
    }
}
