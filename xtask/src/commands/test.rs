// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask test`: every lane one after the other, then one line with the sum.

use anyhow::{Context, Result};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::build::{self, tools::metadata};
use crate::paths;
use crate::setup::{guest_tree, rust_src, Environment};
use crate::ui;

/// Run the tests: unit, model and QEMU boot tests
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Only tests whose name contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The long ones too
    #[arg(long)]
    all: bool,
}

/// Sums of libtest's closing lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Test {
    pub(super) fn run(self) -> Result<i32> {
        let environment = Environment::prepare()?;
        build::build_all(&environment)?;
        guest_tree::image(&environment, &[])?;
        let mut sum = Count::default();
        for (name, mut lane) in lanes(&environment)? {
            self.select(&mut lane);
            sum.add(&ui::step(name, || run_lane(name, &mut lane))?);
        }
        ui::time_table();
        println!("{} passed, {} failed", sum.passed, sum.failed);
        Ok(i32::from(sum.failed > 0 || sum.passed == 0))
    }

    fn select(&self, lane: &mut Command) {
        lane.arg("--").args(&self.filters).arg("--test-threads=1");
        if self.all {
            lane.arg("--include-ignored");
        }
    }
}

/// The lanes of this workspace; each is a `cargo test`.
fn lanes(environment: &Environment) -> Result<Vec<(&'static str, Command)>> {
    let metadata = metadata(paths::repository())?;
    let members = metadata["packages"].as_array().context("cargo metadata")?;
    let names: Vec<&str> = members
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut unit = cargo_test();
    // The co-kernel's own package is for bare metal; what of it can be tested here is in its logic crate.
    for name in names
        .iter()
        .filter(|name| !["cokernel", "tests"].contains(name))
    {
        unit.args(["--package", name]);
    }
    let mut boot = cargo_test();
    boot.args(["--package", "tests"])
        .env("MCKERNEL_BUILT", "1")
        .env("MCKERNEL_XTASK", std::env::current_exe()?);
    let mut lanes = vec![("unit tests", unit)];
    if names.contains(&"ihk-ikc") {
        let mut model = cargo_test();
        model.env("RUSTFLAGS", "--cfg loom").args([
            "--release",
            "--package",
            "ihk-ikc",
            "--target-dir",
        ]);
        model.arg(paths::target().join("loom"));
        lanes.push(("models", model));
    }
    lanes.push(("address sanitizer", sanitizer("address")));
    if let Some(library) = rust_src::library(&environment.build_root) {
        let mut thread = sanitizer("thread");
        thread
            .arg("-Zbuild-std")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
        lanes.push(("thread sanitizer", thread));
    }
    lanes.push(("boot tests", boot));
    Ok(lanes)
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

fn cargo_test() -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::repository())
        .args(["test", "--no-fail-fast"]);
    cargo
}

/// Runs a lane, its output passed on to stderr, and adds up its closing lines; a lane that fails without any failed
/// test (one that does not compile, say) counts as one failed.
fn run_lane(name: &str, lane: &mut Command) -> Result<Count> {
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
}
