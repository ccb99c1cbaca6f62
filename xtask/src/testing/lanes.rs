// SPDX-License-Identifier: GPL-2.0
//! The lanes in the order of what fails fastest: unit tests, models, sanitizers, boot tests on the kernel that was asked
//! for, then one boot on every other kernel that is known to pass.

use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::{self, tools::metadata};
use crate::paths;
use crate::setup::catalogue::{Flavour, Wanted, KNOWN};
use crate::setup::{archive, guest_tree, kernel, rust_src};
use crate::testing::{names, record};
use crate::ui;

/// What of the boot tests runs on every kernel: the module with the claims that one boot can show.
const ON_EVERY_KERNEL: &str = "kernels::";

/// Packages whose tests need a lane of their own, or that have none: the co-kernel's own package is for bare metal, and
/// what of it can be tested here is in its logic crate.
const NOT_UNIT: [&str; 2] = ["cokernel", "tests"];

/// Packages that have models, and their folders.
const MODELLED: [(&str, &str); 3] = [
    ("ihk-ikc", "ihk-ikc"),
    ("libmckernel", "libmckernel"),
    ("cokernel-logic", "cokernel/logic"),
];

/// Which tests are wanted.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Only tests whose name contains one of these; none: all.
    pub(crate) filters: Vec<String>,
    /// The long ones too.
    pub(crate) all: bool,
    /// The kernel that was asked for; `None`: the default one in full, and all others.
    pub(crate) kernel: Option<Wanted>,
}

impl Selection {
    /// Whether a test of one of these names is wanted.
    fn has(&self, names: &[String]) -> bool {
        self.filters.is_empty() || !self.matching(names).is_empty()
    }

    /// Those of the names that are wanted.
    fn matching(&self, names: &[String]) -> Vec<String> {
        let is_wanted = |name: &&String| {
            self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
        };
        names.iter().filter(is_wanted).cloned().collect()
    }
}

/// Sums of libtest's closing lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed, and lanes that did not get as far as running any.
    pub(crate) failed: u64,
}

impl Count {
    const ONE_FAILED: Self = Self {
        passed: 0,
        failed: 1,
    };

    /// Adds another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// One `cargo test`.
pub(crate) struct Lane {
    name: String,
    /// The kernel that it is all about, if it is one of many.
    about: Option<Wanted>,
    /// The kernel that it boots, if it boots one.
    boots: Option<Wanted>,
    /// Whether nothing is filtered out.
    is_whole: bool,
    /// Makes what the lane needs; nothing, with a warning, if that cannot be had and the lane counts neither way.
    prepare: Box<dyn FnOnce() -> Result<Option<Command>>>,
    arguments: Vec<String>,
}

impl Lane {
    fn new(
        name: impl Into<String>,
        selection: &Selection,
        prepare: impl FnOnce() -> Result<Option<Command>> + 'static,
    ) -> Self {
        let mut arguments = vec!["--".to_string()];
        arguments.extend(selection.filters.iter().cloned());
        arguments.push("--test-threads=1".into());
        if selection.all {
            arguments.push("--include-ignored".into());
        }
        Self {
            name: name.into(),
            about: None,
            boots: None,
            is_whole: selection.filters.is_empty(),
            prepare: Box::new(prepare),
            arguments,
        }
    }

    /// Makes what the lane needs, and runs it. A lane for one kernel of many ends nothing but itself: it counts as
    /// failed if its kernel's parts do not build, and does not count if Debian has dropped the kernel.
    ///
    /// # Errors
    /// What it needs could not be made.
    pub(crate) fn run(self) -> Result<Count> {
        if let Some(wanted) = &self.about {
            match is_offered(wanted) {
                Ok(true) => {}
                Ok(false) => {
                    ui::warn(&format!(
                        "{}: Debian does not offer it, not tested",
                        self.name
                    ));
                    return Ok(Count::default());
                }
                Err(error) => {
                    ui::warn(&format!("{}: {error:#}", self.name));
                    return Ok(Count::ONE_FAILED);
                }
            }
        }
        let command = match (self.prepare)() {
            Err(error) if self.about.is_some() => {
                ui::warn(&format!("{}: {error:#}", self.name));
                return Ok(Count::ONE_FAILED);
            }
            command => command?,
        };
        let Some(mut command) = command else {
            return Ok(Count::default());
        };
        command.args(self.arguments);
        let count = ui::step(&self.name, || run(&self.name, &mut command))?;
        if let Some(wanted) = self.boots.filter(|_| self.is_whole) {
            record::add(&kernel::stock(&wanted)?.release, count.passed, count.failed)?;
        }
        Ok(count)
    }
}

/// The lanes that have a test of the selection; what they need is fetched and made when they run.
///
/// # Errors
/// The workspace cannot be read.
pub(crate) fn select(selection: &Selection) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    let packages: Vec<(String, PathBuf)> = packages()?
        .into_iter()
        .filter(|(name, folder)| {
            !NOT_UNIT.contains(&name.as_str())
                && selection.has(&names::of(folder, |file| !is_model(file)))
        })
        .collect();
    if !packages.is_empty() {
        lanes.push(Lane::new("unit tests", selection, move || {
            let mut unit = cargo_test();
            for (name, _) in &packages {
                unit.args(["--package", name]);
            }
            Ok(Some(unit))
        }));
    }
    let [contract, others @ ..] = MODELLED.map(|(_, folder)| paths::repository().join(folder));
    // The models' lane runs ordinary tests of the contract too, but none of the other packages.
    let has_models = |folder: &PathBuf| selection.has(&names::of(folder, is_model));
    if selection.has(&names::of(&contract, |_| true)) || others.iter().any(has_models) {
        lanes.push(Lane::new("models", selection, || Ok(Some(models()))));
    }
    if selection.has(&names::of(&contract, |file| !is_model(file))) {
        let address = || Ok(Some(sanitizer("address")));
        lanes.push(Lane::new("address sanitizer", selection, address));
        let thread = || Ok(thread_sanitizer());
        lanes.push(Lane::new("thread sanitizer", selection, thread));
    }
    boot_lanes(selection, &mut lanes);
    Ok(lanes)
}

/// Boot tests: all on one kernel; without `--kernel` also those of [`ON_EVERY_KERNEL`] on every other one, with `--all`
/// everything on each.
fn boot_lanes(selection: &Selection, lanes: &mut Vec<Lane>) {
    let tests = paths::repository().join("tests");
    let names = [
        names::by_path(&tests.join("boot/main.rs")),
        names::of(&tests.join("src"), |_| true),
    ]
    .concat();
    let default = selection.kernel.clone().unwrap_or_default();
    if selection.has(&names) {
        let wanted = default.clone();
        let mut lane = Lane::new("boot tests", selection, move || boot(&wanted).map(Some));
        lane.boots = Some(default);
        lanes.push(lane);
    }
    let on_every = |name: &String| name.starts_with(ON_EVERY_KERNEL);
    let on_every: Vec<String> = names
        .iter()
        .filter(|name| on_every(name))
        .cloned()
        .collect();
    let wanted = if selection.all { &names } else { &on_every };
    if selection.kernel.is_some() || !selection.has(wanted) {
        return;
    }
    for other in others() {
        let name = format!("kernel {other}");
        let about = Some(other.clone());
        let mut lane = Lane::new(&name, selection, move || boot(&other).map(Some));
        lane.about.clone_from(&about);
        lane.boots = about;
        if !selection.all {
            lane.arguments = vec!["--".into(), "--test-threads=1".into(), "--exact".into()];
            lane.arguments.extend(selection.matching(&on_every));
        }
        lanes.push(lane);
    }
}

/// Whether there is a kernel of the series and flavour.
///
/// # Errors
/// That cannot be told, because Debian cannot be asked, or it cannot be fetched.
fn is_offered(wanted: &Wanted) -> Result<bool> {
    let kernel = kernel::stock(wanted)?;
    let is_meant =
        Some(kernel.id.version.series()) == wanted.series && kernel.id.flavour == wanted.flavour;
    if !is_meant {
        // Another one stands in; is that because of what Debian offers, or because it does not answer?
        archive::offers(false)?;
    }
    Ok(is_meant)
}

/// Every kernel that is known to pass but the default one.
fn others() -> Vec<Wanted> {
    let all = KNOWN.iter().flat_map(|series| {
        Flavour::ALL.map(|flavour| Wanted {
            series: Some(series.name.into()),
            flavour,
        })
    });
    all.filter(|wanted| {
        wanted.flavour != Flavour::ALL[0] || wanted.series.as_deref() != Some(KNOWN[0].name)
    })
    .collect()
}

/// The boot tests on the kernel `wanted`, for which everything is built first.
fn boot(wanted: &Wanted) -> Result<Command> {
    crate::setup::announce(wanted, false)?;
    build::at_once(vec![
        Box::new(|| build::build_all(wanted)),
        Box::new(|| build::later(|| guest_tree::image(&[])).map(drop)),
    ])?;
    let id = kernel::stock(wanted)?.id;
    let name = format!("{}-{}", id.version.series(), id.flavour.name());
    let mut boot = cargo_test();
    boot.args(["--package", "tests"])
        .env("MCKERNEL_BUILT", "1")
        .env("MCKERNEL_KERNEL", name)
        .env("MCKERNEL_XTASK", std::env::current_exe()?);
    Ok(boot)
}

fn models() -> Command {
    let mut model = cargo_test();
    model
        .env("RUSTFLAGS", "--cfg loom")
        .arg("--release")
        .args(MODELLED.iter().flat_map(|(name, _)| ["--package", name]))
        .arg("--target-dir")
        .arg(paths::target().join("loom"));
    model
}

/// The contract's tests under one of the compiler's sanitizers.
fn sanitizer(name: &str) -> Command {
    let mut cargo = cargo_test();
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", format!("-Zsanitizer={name}"))
        .arg("--tests")
        .args([
            "--package",
            "ihk-ikc",
            "--target",
            "x86_64-unknown-linux-gnu",
            "--target-dir",
        ])
        .arg(paths::target().join(name));
    cargo
}

/// The same under ThreadSanitizer, which wants the standard library built anew; nothing if its source cannot be had.
fn thread_sanitizer() -> Option<Command> {
    let library = rust_src::library()?;
    let mut thread = sanitizer("thread");
    thread
        .arg("-Zbuild-std")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
    Some(thread)
}

fn cargo_test() -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::repository())
        .args(["test", "--no-fail-fast"]);
    cargo
}

/// Names and folders of the workspace's packages.
fn packages() -> Result<Vec<(String, PathBuf)>> {
    let metadata = metadata(paths::repository())?;
    let packages = metadata["packages"].as_array().context("cargo metadata")?;
    let packages = packages.iter().filter_map(|package| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some((
            package["name"].as_str()?.to_string(),
            manifest.parent()?.into(),
        ))
    });
    Ok(packages.collect())
}

/// Whether a file has models, which are compiled in their own lane only.
fn is_model(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("loom_")
}

/// Runs a lane, its output passed on to stderr, and adds up its closing lines; a lane that fails without any failed
/// test (one that does not compile, say) counts as one failed.
fn run(name: &str, lane: &mut Command) -> Result<Count> {
    let mut child = lane
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| name.to_string())?;
    let mut count = Count::default();
    let stdout = child.stdout.take().context("stdout")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        eprintln!("{line}");
        if let Some(closing) = parse(&line) {
            count.add(&closing);
        }
    }
    let status = child.wait()?;
    if !status.success() && count.failed == 0 {
        ui::warn(&format!("{name}: {status}"));
        count.failed = 1;
    }
    Ok(count)
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn parse(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |word: &str| -> Option<u64> {
        rest.split("; ")
            .find_map(|part| part.strip_suffix(word))?
            .trim()
            .parse()
            .ok()
    };
    Some(Count {
        passed: number("passed")?,
        failed: number("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read_and_others_are_not() {
        let line =
            "test result: FAILED. 14 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 50.26s";
        assert_eq!(
            parse(line),
            Some(Count {
                passed: 14,
                failed: 2
            })
        );
        assert_eq!(parse("test result of mine: 3 passed"), None);
    }

    fn chosen(filter: &str) -> Vec<String> {
        let selection = Selection {
            filters: vec![filter.into()],
            all: false,
            kernel: None,
        };
        let lanes = select(&selection).unwrap();
        lanes.into_iter().map(|lane| lane.name).collect()
    }

    #[test]
    fn only_lanes_with_a_test_of_the_name_are_compiled() {
        assert_eq!(chosen("closing_lines_are_read"), ["unit tests"]);
        assert_eq!(chosen("web_server_answers_as_natively"), ["boot tests"]);
        assert!(chosen("no test has this name").is_empty());
    }

    #[test]
    fn every_other_kernel_has_a_lane() {
        let names = chosen(ON_EVERY_KERNEL);
        assert_eq!(names[0], "boot tests");
        assert_eq!(names.len(), KNOWN.len() * Flavour::ALL.len());
        assert!(names.contains(&"kernel 7.2-amd64".to_string()), "{names:?}");
    }
}
