// SPDX-License-Identifier: GPL-2.0
//! Kernels that Debian offers today: asked of the mirror once a day at most, and only if what is wanted is not at hand.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::setup::apt::Apt;
use crate::setup::base_tree;
use crate::setup::catalogue::{Flavour, Release, Version, KNOWN};

/// Prints `PACKAGE VERSION` of each kernel package that the lists have.
const LIST: &str = r#"
for list in /apt/lists/*_Packages*; do
    /usr/lib/apt/apt-helper cat-file "$list"
done | awk '/^Package: linux-/ { name = $2 } /^Version: / && name { print name, $2; name = "" }'
"#;

/// A release that can be had as a whole, and the version of its packages, as in `7.3.4-1~bpo13+1`.
pub type Offers = BTreeMap<Release, String>;

/// What Debian offers, from lists that are a day old at most; or new ones in any case, if `anyway`.
///
/// # Errors
/// No mirror answers.
pub fn offers(anyway: bool) -> Result<Offers> {
    let base = base_tree::prepare()?;
    let apt = Apt::of_kernels()?;
    apt.update(&base, anyway)?;
    listed(&apt, &base)
}

/// What Debian offered when it was asked last.
///
/// # Errors
/// It never was.
pub fn offers_at_hand() -> Result<Offers> {
    listed(&Apt::of_kernels()?, &base_tree::prepare()?)
}

fn listed(apt: &Apt, base: &Path) -> Result<Offers> {
    let output = Apt::script(&apt.chroot(base)?, LIST)
        .stdin(Stdio::null())
        .output()
        .context("package lists")?;
    anyhow::ensure!(
        output.status.success(),
        "package lists: {}",
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(complete(&String::from_utf8_lossy(&output.stdout)))
}

/// When the lists were fetched last, as `YYYY-MM-DD`; nothing if never.
#[must_use]
pub fn asked_on() -> Option<String> {
    let stamp = Apt::of_kernels().ok()?.folder().join("updated");
    let modified = fs::metadata(stamp).ok()?.modified().ok()?;
    Some(crate::date::date_of(modified))
}

/// The releases of which every package is offered in one version: image, modules, headers, source and kbuild's tools.
/// Series older than those known to pass have no Rust for modules.
fn complete(list: &str) -> Offers {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in list.lines().filter_map(|line| line.split_once(' ')) {
        versions.entry(name).or_default().push(version);
    }
    let oldest = KNOWN
        .iter()
        .filter_map(|it| it.name.parse::<Version>().ok());
    let oldest = oldest.min();
    let mut offers = Offers::new();
    for (name, its_versions) in &versions {
        let Some(release) = name.strip_prefix("linux-binary-").and_then(release_of) else {
            continue;
        };
        let series: Option<Version> = release.version.series().parse().ok();
        if series < oldest {
            continue;
        }
        let needed = packages(&release);
        let has_all = |version: &&&str| {
            let has = |name: &String| {
                versions
                    .get(name.as_str())
                    .is_some_and(|it| it.contains(version))
            };
            needed.iter().all(has)
        };
        if let Some(version) = its_versions.iter().rev().find(has_all) {
            offers.insert(release, (*version).to_string());
        }
    }
    offers
}

/// The packages of a release, its source last.
#[must_use]
pub fn packages(release: &Release) -> Vec<String> {
    let Release { version, .. } = release;
    let part = |part: &str| format!("linux-{part}-{release}");
    let mut names: Vec<String> = ["binary", "base", "modules", "headers"].map(part).into();
    names.push(format!("linux-kbuild-{version}+deb13"));
    names.push(format!("linux-source-{}", version.series()));
    names
}

/// Reads `7.3.4+deb13-cloud-amd64`.
#[must_use]
pub fn release_of(text: &str) -> Option<Release> {
    let flavours = Flavour::ALL.into_iter();
    let mut fitting = flavours.filter_map(|flavour| {
        let version = text.strip_suffix(flavour.suffix())?.parse().ok()?;
        Some(Release { version, flavour })
    });
    fitting.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(release: &str, version: &str) -> String {
        let release = release_of(release).unwrap();
        let lines = packages(&release);
        let lines = lines.iter().map(|name| format!("{name} {version}\n"));
        lines.collect()
    }

    #[test]
    fn only_whole_releases_of_one_version_are_offered() {
        let mut list = listed("7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1");
        list += &listed("7.2.12+deb13-rt-amd64", "7.2.12-1~bpo13+1");
        list +=
            "linux-binary-7.1.13+deb13-amd64 7.1.13-1\nlinux-binary-7.4.1+deb13-amd64 7.4.1-1\n";
        let broken = listed("7.2.9+deb13-amd64", "7.2.9-1")
            .replace("kbuild-7.2.9+deb13 7.2.9-1", "kbuild-7.2.9+deb13 7.2.9-2");
        let names: Vec<String> = complete(&(list + &broken))
            .keys()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["7.2.12+deb13-rt-amd64", "7.3.4+deb13-cloud-amd64"]);
    }

    #[test]
    fn flavours_are_told_apart() {
        let flavour = |text| release_of(text).map(|it| it.flavour);
        assert_eq!(flavour("7.3.4+deb13-amd64"), Some(Flavour::Amd64));
        assert_eq!(flavour("7.3.4+deb13-cloud-amd64"), Some(Flavour::Cloud));
        assert_eq!(flavour("7.3.4+deb13-rt-amd64"), Some(Flavour::Rt));
        assert_eq!(flavour("6.12+unreleased-arm64"), None);
    }
}
