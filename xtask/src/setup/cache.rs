// SPDX-License-Identifier: GPL-2.0
//! Entries of the cache: each named by what it was made from, made under a lock of its own, and there whole or not at
//! all. Whoever needs an entry asks for it: the first one makes it, the others wait, within a run and between runs; so
//! steps overlap as far as what they need allows.

use anyhow::{anyhow, ensure, Context, Result};
use fs2::FileExt;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::lock;
use crate::paths;
use crate::setup::host;
use crate::ui;

/// What came of an entry in this run; whoever asks again gets the same.
type Outcome = Arc<Mutex<Option<Result<PathBuf, String>>>>;

static ENTRIES: Mutex<BTreeMap<String, Outcome>> = Mutex::new(BTreeMap::new());

/// Digits of a key.
pub(super) const KEY_LENGTH: usize = 12;

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
        .take(KEY_LENGTH / 2)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Where the entry `name` is, or will be.
///
/// # Errors
/// There is no place for a cache.
pub fn path(name: &str) -> Result<PathBuf> {
    Ok(paths::cache()?.join(name))
}

/// The entry `name`; if it is missing, `make` makes it at the path it is given, which is renamed at the end. `mib` is
/// about how large it becomes, in MiB.
///
/// # Errors
/// Those of `make`; the cache is not writable, or there is no room.
pub fn entry(name: &str, mib: u64, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let outcome = {
        let mut entries = ENTRIES.lock().map_err(|_| anyhow!("a thread died"))?;
        entries.entry(name.to_string()).or_default().clone()
    };
    let mut outcome = outcome.lock().map_err(|_| anyhow!("a thread died"))?;
    let result = outcome
        .get_or_insert_with(|| find_or_make(name, mib, make).map_err(|error| format!("{error:#}")));
    result.clone().map_err(anyhow::Error::msg)
}

fn find_or_make(name: &str, mib: u64, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    hold()?;
    let cache = paths::cache()?;
    let path = cache.join(name);
    if path.exists() {
        mark_used(&path);
        return Ok(path);
    }
    let locks = cache.join("locks");
    fs::create_dir_all(&locks).with_context(|| cache.display().to_string())?;
    let lock_file = locks.join(name);
    let _lock = lock::take(&lock_file, &format!("another run is making {name}"))?;
    if path.exists() {
        return Ok(path);
    }
    let unfinished = cache.join(format!("{name}.tmp"));
    remove(&unfinished)?;
    require_room(&cache, name, mib)?;
    if let Err(error) = make(&unfinished) {
        remove(&unfinished)?;
        return Err(explain(&cache, error));
    }
    host::as_root("mv", |command| {
        command.arg("-T").arg(&unfinished).arg(&path)
    })?;
    mark_used(&path);
    Ok(path)
}

/// Remembers that the entry at `path` was used today, as the time of its lock file: what nobody uses goes some day (see
/// [`super::tidying`]).
pub(super) fn mark_used(path: &Path) {
    let mark = || -> Option<()> {
        let lock_file = path.parent()?.join("locks").join(path.file_name()?);
        lock::open(&lock_file)
            .ok()?
            .set_modified(SystemTime::now())
            .ok()
    };
    // An entry that cannot be marked is one that is not ours to remove either.
    let _ = mark();
}

/// Free space of the file system with the cache, in MiB.
///
/// # Errors
/// It cannot be asked.
pub fn free_mib(cache: &Path) -> Result<u64> {
    let existing = cache.ancestors().find(|path| path.exists());
    let folder = existing.unwrap_or(Path::new("/"));
    Ok(fs2::available_space(folder).with_context(|| folder.display().to_string())? >> 20)
}

fn require_room(cache: &Path, name: &str, mib: u64) -> Result<()> {
    let free = free_mib(cache)?;
    ensure!(
        free >= mib,
        "{}: no room for {name}: it needs about {mib} MiB, {free} MiB are free",
        cache.display()
    );
    Ok(())
}

/// A step that fails because the disk is full has rarely the words for it.
fn explain(cache: &Path, error: anyhow::Error) -> anyhow::Error {
    const NEARLY_NOTHING_MIB: u64 = 16;
    match free_mib(cache) {
        Ok(free) if free < NEARLY_NOTHING_MIB => {
            error.context(format!("{}: the disk is full", cache.display()))
        }
        _ => error,
    }
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

/// Locked by every run that uses the cache.
pub(super) const USERS: &str = "users";

/// Says, for as long as this process lives, that the cache is in use.
///
/// # Errors
/// The cache is not writable.
pub fn hold() -> Result<()> {
    static HELD: Mutex<Option<File>> = Mutex::new(None);
    let mut held = HELD.lock().map_err(|_| anyhow!("a thread died"))?;
    if held.is_some() {
        return Ok(());
    }
    let cache = paths::cache()?;
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    let users = lock::open(&cache.join(USERS))?;
    if FileExt::try_lock_shared(&users).is_err() {
        ui::say("xtask: another run is tidying up the cache; waiting");
        FileExt::lock_shared(&users).with_context(|| cache.display().to_string())?;
    }
    *held = Some(users);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    /// A name that no other test or run uses, and nothing is left of at the end.
    struct Name(String);

    impl Name {
        fn new(test: &str) -> Self {
            Self(format!("test-{test}-{}", std::process::id()))
        }
    }

    impl Drop for Name {
        fn drop(&mut self) {
            let cache = paths::cache().unwrap();
            for left in [
                self.0.clone(),
                format!("{}.tmp", self.0),
                format!("locks/{}", self.0),
            ] {
                let _ = fs::remove_file(cache.join(left));
            }
        }
    }

    #[test]
    fn an_entry_that_many_want_is_made_once() {
        let name = Name::new("once");
        let made = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let path = entry(&name.0, 1, |path| {
                        made.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(std::time::Duration::from_millis(50));
                        Ok(fs::write(path, "whole")?)
                    });
                    assert_eq!(fs::read_to_string(path.unwrap()).unwrap(), "whole");
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn entries_that_do_not_need_each_other_are_made_at_the_same_time() {
        let names = [Name::new("left"), Name::new("right")];
        let both = std::sync::Barrier::new(2);
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| {
                    let make = |path: &Path| {
                        both.wait();
                        Ok(fs::write(path, "")?)
                    };
                    assert!(entry(&name.0, 1, make).is_ok());
                });
            }
        });
    }

    #[test]
    fn an_entry_that_fails_leaves_nothing_and_says_the_same_to_all() {
        let name = Name::new("fails");
        let fail = |path: &Path| {
            fs::write(path, "half")?;
            anyhow::bail!("broke off")
        };
        let first = entry(&name.0, 1, fail).unwrap_err().to_string();
        assert_eq!(first, "broke off");
        let second = entry(&name.0, 1, |_| panic!("made twice")).unwrap_err();
        assert_eq!(second.to_string(), first);
        let cache = paths::cache().unwrap();
        assert!(!cache.join(&name.0).exists() && !cache.join(format!("{}.tmp", name.0)).exists());
    }

    #[test]
    fn an_entry_that_was_interrupted_is_made_anew() {
        let name = Name::new("interrupted");
        let cache = paths::cache().unwrap();
        fs::create_dir_all(&cache).unwrap();
        fs::write(cache.join(format!("{}.tmp", name.0)), "half").unwrap();
        let path = entry(&name.0, 1, |path| {
            assert!(!path.exists());
            Ok(fs::write(path, "whole")?)
        });
        assert_eq!(fs::read_to_string(path.unwrap()).unwrap(), "whole");
    }

    #[test]
    fn an_entry_that_has_no_room_is_not_begun() {
        let name = Name::new("room");
        let error = entry(&name.0, u64::MAX, |_| panic!("begun")).unwrap_err();
        assert!(error.to_string().contains("no room for"), "{error}");
    }
}
