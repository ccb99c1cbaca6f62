// SPDX-License-Identifier: GPL-2.0
//! The entries of kernels in the cache: their names, and which of them are at hand. A name has the version of the
//! packages, and its key says which archive they came from: two packages never share an entry.

use anyhow::Result;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::{scripts, Kernel};
use crate::paths;
use crate::setup::archive;
use crate::setup::catalogue::Release;
use crate::setup::{apt, base_tree, cache};

/// Names of the entries with the kernel `release` and with its source, from packages of `version` that came from the
/// archive `source`, a line of sources.list; `None` stands for Debian's own.
#[must_use]
pub fn names(release: &Release, version: &str, source: Option<&str>) -> [String; 2] {
    let archive = apt::folder_name(source);
    let [kernel, source] = keys(&archive);
    [
        format!("kernel-{release}_{version}-{kernel}"),
        format!("source-{}_{version}-{source}", release.version),
    ]
}

/// The keys in these names, for packages from the archive with the folder `archive`.
fn keys(archive: &str) -> [String; 2] {
    let base = base_tree::name();
    let kernel = [scripts::KERNEL, scripts::FIRST_INIT, apt::UNPACK];
    let kernel = cache::key(&[&kernel[..], &[&base, archive]].concat());
    let source = cache::key(&[scripts::SOURCE, apt::UNPACK, &base, archive]);
    [kernel, source]
}

/// The same for packages that come from where kernels are fetched now.
pub(super) fn names_now(release: &Release, version: &str) -> [String; 2] {
    names(release, version, apt::source_of_kernels().as_deref())
}

/// The kernel from packages of `version`, if it is at hand.
pub(super) fn cached(release: &Release, version: &str) -> Option<Kernel> {
    let [name, _] = names_now(release, version);
    let folder = cache::path(&name).ok()?;
    folder.join("initrd").exists().then(|| Kernel {
        folder,
        id: release.clone(),
        release: release.to_string(),
        version: version.to_string(),
    })
}

/// Whether the source of `kernel` is at hand, too: Debian may have dropped the release between the two.
pub(super) fn is_whole(kernel: &Kernel) -> bool {
    let [_, source] = names_now(&kernel.id, &kernel.version);
    cache::path(&source).is_ok_and(|source| source.exists())
}

/// The kernel, if it and its source are at hand; of several the one that was fetched last.
pub(super) fn whole(release: &Release) -> Option<Kernel> {
    let kernels = all_cached().ok()?.into_iter();
    let fitting = kernels.filter(|kernel| kernel.id == *release && is_whole(kernel));
    fitting.max_by_key(|kernel| fetched(&kernel.initrd()))
}

fn fetched(initrd: &Path) -> Option<SystemTime> {
    fs::metadata(initrd).ok()?.modified().ok()
}

/// All kernels at hand that came from where kernels are fetched now.
///
/// # Errors
/// There is no place for a cache.
pub fn all_cached() -> Result<Vec<Kernel>> {
    let Ok(entries) = fs::read_dir(paths::cache()?) else {
        return Ok(Vec::new());
    };
    let kernels = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let (what, _key) = name.strip_prefix("kernel-")?.rsplit_once('-')?;
        let (release, version) = what.split_once('_')?;
        let kernel = cached(&archive::release_of(release)?, version)?;
        // With another key it came from elsewhere, or was made in another way.
        (kernel.folder.file_name()? == entry.file_name()).then_some(kernel)
    });
    Ok(kernels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn packages_of_other_versions_and_other_archives_have_other_entries() {
        let release = archive::release_of("7.3.4+deb13-cloud-amd64").unwrap();
        let mine = Some("deb http://mine/ ./");
        let all: BTreeSet<[String; 2]> = [
            names(&release, "7.3.4-1", None),
            names(&release, "7.3.4-2", None),
            names(&release, "7.3.4-1", mine),
            names(&release, "7.3.4-1", Some("deb http://yours/ ./")),
        ]
        .into();
        let each = |index: usize| all.iter().map(|it| &it[index]).collect::<BTreeSet<_>>();
        assert_eq!((each(0).len(), each(1).len()), (4, 4), "{all:?}");
        assert_eq!(
            names(&release, "7.3.4-1", mine),
            names(&release, "7.3.4-1", mine)
        );
    }
}
