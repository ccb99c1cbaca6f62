// SPDX-License-Identifier: GPL-2.0
//! Tidying of the cache, at the beginning of a run that is alone with it: away goes what nobody needs any more.
//! Clones with other commits share the cache and may want other entries of the same names, so an entry stays for as
//! long as anybody comes back to it now and then.

use anyhow::Result;
use std::fs::{self, DirEntry};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::paths;
use crate::setup::inventory::{alone, content, name, OURS};
use crate::setup::{buildroot, cache, guest_tree};
use crate::ui;

/// What the names of entries end with while they are made.
const UNFINISHED: [&str; 2] = [".tmp", ".tree"];

/// How long an entry stays after its last use, if another one of its name has been used since.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Removes what nobody needs any more, if nobody else is using the cache: entries that have been superseded, what
/// interrupted runs left, and packages of which all has been made.
///
/// # Errors
/// It cannot be removed.
pub(super) fn tidy() -> Result<()> {
    let cache = paths::cache()?;
    if !cache.exists() {
        return Ok(());
    }
    match alone(&cache)? {
        Some(_alone) => tidy_alone(&cache),
        None => Ok(()),
    }
}

fn tidy_alone(cache: &Path) -> Result<()> {
    let mut entries = Vec::new();
    for entry in content(cache) {
        let name = name(&entry);
        if UNFINISHED.iter().any(|end| name.ends_with(end)) && stem(&name).is_some() {
            cache::remove(&entry.path())?;
        } else {
            let used = last_use(cache, &entry);
            entries.push(Entry { name, used });
        }
    }
    for name in superseded(&entries, SystemTime::now()) {
        ui::say(&format!(
            "set-up: removing {name}: not used for two weeks, and another one was since"
        ));
        cache::remove(&cache.join(name))?;
    }
    let [tree, _] = guest_tree::names("");
    if [buildroot::name(), tree]
        .iter()
        .all(|it| cache.join(it).exists())
    {
        cache::remove(&cache.join("apt/debs"))?;
    }
    Ok(())
}

/// An entry and when it was last used.
struct Entry {
    name: String,
    used: SystemTime,
}

/// Those that have not been used for [`KEPT`] while another one of the same name, with another key, was used later.
fn superseded(entries: &[Entry], now: SystemTime) -> Vec<&str> {
    let is_superseded = |entry: &&Entry| {
        let stem = stem(&entry.name);
        let later = |other: &Entry| stem == self::stem(&other.name) && other.used > entry.used;
        let age = now.duration_since(entry.used).unwrap_or_default();
        stem.is_some() && age > KEPT && entries.iter().any(later)
    };
    let names = entries.iter().filter(is_superseded);
    names.map(|entry| entry.name.as_str()).collect()
}

/// The name of an entry without its key, and without the version of a kernel's packages; nothing if it is none.
fn stem(name: &str) -> Option<&str> {
    let name = name.split(".ext4").next()?;
    let name = UNFINISHED
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let (what, key) = name.rsplit_once('-')?;
    let is_key = key.len() == cache::KEY_LENGTH && key.bytes().all(|it| it.is_ascii_hexdigit());
    let is_ours = OURS.iter().any(|start| name.starts_with(start)) && what != "apt";
    (is_key && is_ours).then(|| what.split('_').next().unwrap_or(what))
}

/// See [`cache::mark_used`]; of an entry that nobody has marked, when it was made.
fn last_use(cache: &Path, entry: &DirEntry) -> SystemTime {
    let marked = fs::metadata(cache.join("locks").join(entry.file_name()));
    let times = [marked, entry.metadata()].map(|it| it.and_then(|it| it.modified()).ok());
    let last = times.into_iter().flatten().max();
    last.unwrap_or_else(SystemTime::now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock;
    use std::path::PathBuf;

    const DAY: u64 = 24 * 60 * 60;

    /// Entries by their names and the days since they were used.
    fn superseded_of(entries: &[(&str, u64)]) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 * DAY);
        let entry = |(name, days): &(&str, u64)| Entry {
            name: (*name).into(),
            used: now - Duration::from_secs(days * DAY),
        };
        let entries: Vec<Entry> = entries.iter().map(entry).collect();
        let names = superseded(&entries, now).into_iter();
        names.map(ToString::to_string).collect()
    }

    #[test]
    fn an_entry_goes_that_was_not_used_for_two_weeks_while_another_one_was() {
        let [old, new] = ["base-0123456789ab", "base-ba9876543210"];
        assert_eq!(superseded_of(&[(old, 15), (new, 1)]), [old]);
        assert!(superseded_of(&[(old, 13), (new, 1)]).is_empty());
        assert!(superseded_of(&[(old, 100)]).is_empty());
        assert_eq!(superseded_of(&[(old, 100), (new, 50)]), [old]);
    }

    #[test]
    fn other_names_and_what_is_not_ours_stay() {
        let all = [
            ("kernel-7.3.4+deb13-amd64-0123456789ab", 90),
            (
                "kernel-7.3.4+deb13-rt-amd64_7.3.4-1~bpo13+1-0123456789ab",
                80,
            ),
            ("guest-tree-0123456789ab", 70),
            ("guest-0123456789ab.ext4", 60),
            ("apt-0123456789ab", 90),
            ("apt-ba9876543210", 1),
            ("mine-0123456789ab", 90),
            ("mine-ba9876543210", 1),
            ("times.json", 90),
        ];
        assert!(superseded_of(&all).is_empty());
        let newer = [
            ("kernel-7.3.4+deb13-amd64_7.3.4-1~bpo13+1-0123456789ab", 1),
            ("guest-ba9876543210.ext4", 1),
        ];
        let expected = [all[0].0, all[3].0];
        assert_eq!(superseded_of(&[&all[..], &newer].concat()), expected);
    }

    /// A cache of fake entries.
    struct Cache(PathBuf);

    impl Cache {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(folder.join("locks")).unwrap();
            Self(folder)
        }

        /// An entry that was used `days` ago.
        fn add(&self, name: &str, days: u64) {
            let used = SystemTime::now() - Duration::from_secs(days * DAY);
            for path in [self.0.join(name), self.0.join("locks").join(name)] {
                let file = lock::open(&path).unwrap();
                file.set_modified(used).unwrap();
            }
        }

        fn has(&self, name: &str) -> bool {
            self.0.join(name).exists()
        }
    }

    impl Drop for Cache {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn superseded_and_interrupted_entries_are_removed_and_packages_when_all_is_made() {
        let cache = Cache::new("tidy");
        let [old, new] = ["source-7.3.4-0123456789ab", "source-7.3.4_1-ba9876543210"];
        let left = "guest-0123456789ab.ext4.tmp";
        for (name, days) in [(old, 20), (new, 0), (left, 0)] {
            cache.add(name, days);
        }
        fs::create_dir_all(cache.0.join("apt/debs")).unwrap();
        let [tree, _] = guest_tree::names("");
        cache.add(&tree, 0);
        tidy_alone(&cache.0).unwrap();
        assert!(!cache.has(old) && cache.has(new) && !cache.has(left));
        assert!(cache.has("apt/debs"), "the build root will want packages");
        cache.add(&buildroot::name(), 0);
        tidy_alone(&cache.0).unwrap();
        assert!(!cache.has("apt/debs") && cache.has(new) && cache.has(&tree));
    }
}
