// SPDX-License-Identifier: GPL-2.0
//! Kernels to build for: the series that are known to pass, the flavours, what a person may ask for,
//! and the choice among what Debian offers. Nothing here touches the network or the disk.

use anyhow::{ensure, Context, Result};
use std::fmt;
use std::str::FromStr;

/// A series that passes the tests, and the release with which it last did so.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// As in `7.3`.
    pub name: &'static str,
    /// The release that the tests passed with; the newest of the series stands in when Debian drops it.
    pub release: &'static str,
    /// The day on which the claims of `kernels::` passed last on all its flavours.
    pub passed: &'static str,
}

/// The series that are known to pass, newest first. A new one gets its row when docs/kernels.md has been followed.
pub const KNOWN: [Series; 2] = [
    Series {
        name: "7.3",
        release: "7.3.4",
        passed: "2026-11-30",
    },
    Series {
        name: "7.2",
        release: "7.2.12",
        passed: "2026-11-30",
    },
];

/// Debian's configurations of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// For virtual machines: what they boot from is built in.
    Cloud,
    /// For any machine.
    Amd64,
    /// PREEMPT_RT.
    Rt,
}

impl Flavour {
    /// All of them; the first is the default.
    pub const ALL: [Self; 3] = [Self::Cloud, Self::Amd64, Self::Rt];

    /// The word after the series in `--kernel`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Amd64 => "amd64",
            Self::Rt => "rt",
        }
    }

    /// What follows the version in `uname -r`; also make's LOCALVERSION.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Cloud => "+deb13-cloud-amd64",
            Self::Amd64 => "+deb13-amd64",
            Self::Rt => "+deb13-rt-amd64",
        }
    }
}

/// A version as in `7.3.4`, which sorts by its numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(Vec<u32>);

impl Version {
    /// Its series, as in `7.3`.
    #[must_use]
    pub fn series(&self) -> String {
        Self(self.0.iter().take(2).copied().collect()).to_string()
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split('.').map(|part| {
            ensure!(part.bytes().all(|byte| byte.is_ascii_digit()), "no number");
            Ok(part.parse()?)
        });
        let numbers = numbers.collect::<Result<Vec<u32>>>();
        let numbers = numbers.ok().filter(|numbers| numbers.len() >= 2);
        Ok(Self(numbers.context("not a version")?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(u32::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

/// The value of `--kernel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// As in `7.3`; `None`: the newest one that is known to pass.
    pub series: Option<String>,
    /// The flavour.
    pub flavour: Flavour,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            series: None,
            flavour: Flavour::ALL[0],
        }
    }
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (series, flavour) = text.split_once('-').unwrap_or((text, "cloud"));
        let flavour = Flavour::ALL.into_iter().find(|it| it.name() == flavour);
        let parts = Version::from_str(series).ok().filter(|it| it.0.len() == 2);
        match (parts, flavour) {
            (Some(series), Some(flavour)) => Ok(Self {
                series: Some(series.to_string()),
                flavour,
            }),
            _ => anyhow::bail!("not SERIES[-FLAVOUR], as in 7.3, 7.2-amd64 or 7.3-rt"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.series.as_deref().unwrap_or("newest");
        write!(f, "{series}-{}", self.flavour.name())
    }
}

/// One release of one flavour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// As in `7.3.4`.
    pub version: Version,
    /// Its configuration.
    pub flavour: Flavour,
}

impl fmt::Display for Release {
    /// `uname -r`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.version, self.flavour.suffix())
    }
}

/// A release to take, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The release.
    pub release: Release,
    /// Why it is not the one that was meant, or that nobody has tested it.
    pub warning: Option<String>,
}

/// The releases that the tests passed with and that fit `wanted`, newest series first: if the first of them is at hand,
/// nobody need be asked what Debian offers.
#[must_use]
pub fn pinned(wanted: &Wanted) -> Vec<Release> {
    let fits = |series: &&Series| wanted.series.as_deref().is_none_or(|it| it == series.name);
    let releases = KNOWN.iter().filter(fits).filter_map(|series| {
        let version = series.release.parse().ok()?;
        let flavour = wanted.flavour;
        Some(Release { version, flavour })
    });
    releases.collect()
}

/// What to take of `offered`, best first: the release that the tests passed with, else the newest of its series, else
/// those of the next known series, else the newest at all. Empty only if nothing of the flavour is offered.
///
/// # Errors
/// A series was asked for that nobody knows and Debian does not offer.
pub fn choose(wanted: &Wanted, offered: &[Release]) -> Result<Vec<Choice>> {
    let mut offered: Vec<&Release> = offered
        .iter()
        .filter(|it| it.flavour == wanted.flavour)
        .collect();
    offered.sort_by(|a, b| b.cmp(a));
    let asked = wanted.series.as_deref();
    let is_known = |name: &str| KNOWN.iter().any(|series| series.name == name);
    let is_offered = |name: &str| offered.iter().any(|it| it.version.series() == name);
    if let Some(name) = asked {
        ensure!(
            is_known(name) || is_offered(name),
            "--kernel {wanted}: Debian does not offer it and no test ever passed with it; offered: {}",
            list(&offered)
        );
    }
    // The series that was asked for comes first, then those known to pass, then the others.
    let mut choices = Vec::new();
    let known = KNOWN.iter().map(|series| series.name);
    for name in asked.into_iter().chain(known) {
        let pinned = KNOWN.iter().find(|series| series.name == name);
        let mut of_series: Vec<&Release> = offered
            .iter()
            .copied()
            .filter(|it| it.version.series() == name)
            .collect();
        of_series.sort_by_key(|it| {
            let is_pinned = |series: &Series| it.version.to_string() == series.release;
            !pinned.is_some_and(is_pinned)
        });
        choices.extend(of_series);
    }
    choices.extend(offered);
    let mut seen = Vec::new();
    for release in choices {
        if !seen.contains(&release) {
            seen.push(release);
        }
    }
    let choices = seen.into_iter().map(|release| Choice {
        release: release.clone(),
        warning: warning(wanted, release),
    });
    Ok(choices.collect())
}

/// What to say when `wanted` turns out to be `release`.
fn warning(wanted: &Wanted, release: &Release) -> Option<String> {
    let name = release.version.series();
    let meant = wanted.series.as_deref().unwrap_or(KNOWN[0].name);
    let Some(series) = KNOWN.iter().find(|series| series.name == name) else {
        return Some(format!(
            "Linux {release} is untested: no series that is known to pass ({}) was wanted and is offered",
            KNOWN.map(|series| series.name).join(", ")
        ));
    };
    let pinned = Release {
        version: series.release.parse().ok()?,
        flavour: wanted.flavour,
    };
    if name != meant {
        Some(format!(
            "Debian offers no Linux {meant} ({}) any more; using {release}",
            wanted.flavour.name()
        ))
    } else if pinned != *release {
        Some(format!(
            "Linux {pinned} is gone from Debian; using {release}"
        ))
    } else {
        None
    }
}

fn list(releases: &[&Release]) -> String {
    let names: Vec<String> = releases.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        "nothing".into()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, flavour: Flavour) -> Release {
        Release {
            version: version.parse().unwrap(),
            flavour,
        }
    }

    fn cloud(versions: &[&str]) -> Vec<Release> {
        let releases = versions.iter().map(|it| release(it, Flavour::Cloud));
        releases.collect()
    }

    fn first(wanted: &str, offered: &[Release]) -> (String, Option<String>) {
        let wanted = if wanted.is_empty() {
            Wanted::default()
        } else {
            wanted.parse().unwrap()
        };
        let choice = choose(&wanted, offered).unwrap().remove(0);
        (choice.release.to_string(), choice.warning)
    }

    #[test]
    fn default_is_the_newest_series_known_to_pass() {
        let offered = cloud(&["7.2.6", "7.2.12", "7.3.4", "7.3.5", "7.4.1"]);
        assert_eq!(
            first("", &offered),
            ("7.3.4+deb13-cloud-amd64".into(), None)
        );
        assert_eq!(
            first("7.2", &offered),
            ("7.2.12+deb13-cloud-amd64".into(), None)
        );
    }

    #[test]
    fn a_release_that_is_gone_falls_back_within_its_series() {
        let (name, warning) = first("", &cloud(&["7.2.12", "7.3.10", "7.3.9"]));
        assert_eq!(name, "7.3.10+deb13-cloud-amd64");
        assert!(warning.unwrap().contains("7.3.4+deb13-cloud-amd64 is gone"));
    }

    #[test]
    fn a_series_that_is_gone_falls_back_to_the_next_known_one() {
        let (name, warning) = first("7.2", &cloud(&["7.3.4", "7.4.1"]));
        assert_eq!(name, "7.3.4+deb13-cloud-amd64");
        assert!(warning.unwrap().contains("no Linux 7.2 (cloud) any more"));
        let (name, warning) = first("", &cloud(&["7.2.12", "7.4.1"]));
        assert_eq!(name, "7.2.12+deb13-cloud-amd64");
        assert!(warning.unwrap().contains("no Linux 7.3 (cloud) any more"));
    }

    #[test]
    fn an_unknown_series_alone_is_taken_with_a_warning() {
        for wanted in ["", "7.2", "7.4"] {
            let (name, warning) = first(wanted, &cloud(&["7.4.1", "7.4.2"]));
            assert_eq!(name, "7.4.2+deb13-cloud-amd64", "{wanted}");
            assert!(warning.unwrap().contains("is untested"), "{wanted}");
        }
    }

    #[test]
    fn every_offered_release_of_the_flavour_is_a_candidate_once() {
        let mut offered = cloud(&["7.2.6", "7.2.12", "7.3.4", "7.4.1"]);
        offered.push(release("7.3.4", Flavour::Rt));
        let wanted = "7.2".parse().unwrap();
        let names: Vec<String> = choose(&wanted, &offered)
            .unwrap()
            .iter()
            .map(|choice| choice.release.version.to_string())
            .collect();
        assert_eq!(names, ["7.2.12", "7.2.6", "7.3.4", "7.4.1"]);
        assert!(choose(&"7.2-amd64".parse().unwrap(), &offered)
            .unwrap()
            .is_empty());
    }

    #[test]
    fn a_series_that_nobody_knows_is_refused_and_says_what_there_is() {
        let error = choose(&"9.9".parse().unwrap(), &cloud(&["7.3.4"])).unwrap_err();
        assert!(error.to_string().contains("--kernel 9.9-cloud"), "{error}");
        assert!(error.to_string().contains("7.3.4+deb13"), "{error}");
    }

    #[test]
    fn names_are_read_strictly() {
        let wanted: Wanted = "7.3-rt".parse().unwrap();
        assert_eq!(wanted.series.as_deref(), Some("7.3"));
        assert_eq!(wanted.flavour, Flavour::Rt);
        for bad in [
            "", "7", "7.3.4", "7.3-", "7.3-arm", "-rt", "7.+3", "7.3-rt-x",
        ] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn known_series_are_newest_first() {
        let versions = KNOWN.map(|series| series.release.parse::<Version>().unwrap());
        assert!(versions.is_sorted_by(|a, b| a > b));
        for (series, version) in KNOWN.iter().zip(versions) {
            assert_eq!(series.name, version.series());
        }
    }
}
