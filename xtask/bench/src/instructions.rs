// SPDX-License-Identifier: GPL-2.0
//! Instructions instead of time: what a loaded host does not change. See `xtask/counter`.

use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::curves::{median, Curves};
use crate::rows::{Kind, Row};
use crate::run::{machines, phases, Phase};
use xtask::vm::{Machine, VmOptions};
use xtask::{paths, ui};

const PLUGIN: &str = "instruction-counter";

/// Instructions per call of one row, medians over the batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    /// Natively.
    pub native: f64,
    /// On the co-kernel: those of Linux's CPUs.
    pub linux: f64,
    /// On the co-kernel: those of its own CPUs.
    pub cokernel: f64,
}

impl Count {
    /// Ours over native; smaller is better.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        (self.linux + self.cokernel) / self.native
    }
}

/// Counts `rows` in one boot per kind of machine. With `profile`, what was executed where is written to
/// `target/bench/profile-SMP`.
///
/// # Errors
/// The plugin does not build, the machine did not come up, or a row could not be measured.
pub fn count(rows: &[Row], profile: bool) -> Result<Vec<(Row, Count)>> {
    let rows: Vec<Row> = rows
        .iter()
        .copied()
        .filter(|row| row.kind != Kind::Boot)
        .collect();
    let mut counts = BTreeMap::new();
    for (smp, rows) in machines(&rows) {
        let folder = paths::target().join("bench");
        let marks = folder.join(format!("marks-{smp}"));
        let mut argument = plugin(&marks)?;
        if profile {
            argument.push(",profile=");
            argument.push(folder.join(format!("profile-{smp}")));
        }
        let machine = Machine::new(VmOptions {
            smp,
            plugin: vec![argument],
            ..VmOptions::default()
        })?;
        let phases = ui::step(&format!("bench instructions, {smp} CPUs"), || {
            phases(&machine, &rows)
        })?;
        counts.append(&mut evaluate(&phases, &read(&marks)?, smp as usize / 2)?);
    }
    rows.iter()
        .map(|row| {
            let count = counts
                .get(row.name)
                .with_context(|| format!("bench {}: not counted", row.name))?;
            Ok((*row, count.clone()))
        })
        .collect()
}

/// The option of QEMU that loads the plugin, which then writes its counts to `marks`.
///
/// # Errors
/// It does not build, or there is no room for the file.
pub(super) fn plugin(marks: &Path) -> Result<OsString> {
    if let Some(folder) = marks.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut argument = OsString::from(build()?);
    argument.push(",out=");
    argument.push(marks);
    Ok(argument)
}

/// Replaces what the points of `curves` show by instructions per call, all CPUs together, medians over the batches.
///
/// # Errors
/// `marks` are not those of these points.
pub(super) fn put_counts(curves: &mut Curves, marks: &Path) -> Result<()> {
    let marks = read(marks)?;
    let mut rest = marks.as_slice();
    let in_order = curves.iter_mut().flat_map(|(_, points)| {
        let batches = std::mem::take(&mut points.batches);
        points.points.iter_mut().zip(batches)
    });
    for (point, (calls, batches)) in in_order {
        let (own, others) = rest
            .split_at_checked(2 * batches)
            .context("bench: marks are missing")?;
        rest = others;
        point.1 = per_call(own, calls, |_| true);
    }
    ensure!(rest.is_empty(), "bench: {} marks too many", rest.len());
    Ok(())
}

/// Instructions per call between pairs of `marks`, of those CPUs, median.
fn per_call(marks: &[Vec<u64>], calls: u64, counts: impl Fn(usize) -> bool) -> f64 {
    let batches = marks.chunks(2).map(|pair| {
        let executed = pair[1].iter().zip(&pair[0]).enumerate();
        let counted = executed.filter(|(cpu, _)| counts(*cpu));
        let sum: u64 = counted
            .map(|(_, (after, before))| after.saturating_sub(*before))
            .sum();
        sum as f64 / calls as f64
    });
    median(batches.collect())
}

fn build() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::repository()).args([
        "build",
        "--release",
        "-p",
        PLUGIN,
        "--target-dir",
    ]);
    let target = paths::target().join("plugin");
    ui::run_logged("instruction counter", cargo.arg(&target))?;
    Ok(library(&target))
}

fn library(target: &Path) -> PathBuf {
    target.join(format!("release/lib{}.so", PLUGIN.replace('-', "_")))
}

/// One list of counts, by vCPU, per mark in the file.
fn read(file: &Path) -> Result<Vec<Vec<u64>>> {
    parse(&fs::read_to_string(file).with_context(|| file.display().to_string())?)
}

fn parse(marks: &str) -> Result<Vec<Vec<u64>>> {
    marks
        .lines()
        .map(|line| line.split(' ').map(str::parse).collect::<Result<_, _>>())
        .collect::<Result<_, _>>()
        .context("marks of the instruction counter")
}

/// Each phase owns two marks per batch; the first `linux` CPUs are Linux's.
fn evaluate(phases: &[Phase], marks: &[Vec<u64>], linux: usize) -> Result<BTreeMap<String, Count>> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut rest = marks;
    for phase in phases {
        ensure!(
            rest.len() >= 2 * phase.batches,
            "bench {}: marks are missing",
            phase.row
        );
        let (own, others) = rest.split_at(2 * phase.batches);
        rest = others;
        let count = counts.entry(phase.row.clone()).or_default();
        if phase.ours {
            count.linux = per_call(own, phase.calls, |cpu| cpu < linux);
            count.cokernel = per_call(own, phase.calls, |cpu| cpu >= linux);
        } else {
            count.native = per_call(own, phase.calls, |_| true);
        }
    }
    ensure!(rest.is_empty(), "bench: {} marks too many", rest.len());
    Ok(counts)
}

/// The counts as text.
#[must_use]
pub fn table(counts: &[(Row, Count)]) -> String {
    let mut text = format!(
        "{:<20} {:>12} {:>12} {:>12} {:>8}  {}\n",
        "row", "native", "ours: Linux", "co-kernel", "ratio", "what: instructions per call"
    );
    for (row, count) in counts {
        text += &format!(
            "{:<20} {:>12.1} {:>12.1} {:>12.1} {:>8.3}  {}\n",
            row.name,
            count.native,
            count.linux,
            count.cokernel,
            count.ratio(),
            row.title
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(row: &str, ours: bool, calls: u64, batches: usize) -> Phase {
        Phase {
            row: row.into(),
            ours,
            ns: 1.0,
            calls,
            batches,
        }
    }

    #[test]
    fn counts_are_split_between_the_kernels() {
        let marks = parse("0 0\n100 0\n200 10\n280 30\n300 30\n500 130").unwrap();
        let phases = [phase("a", false, 10, 1), phase("a", true, 10, 2)];
        let counts = evaluate(&phases, &marks, 1).unwrap();
        let expected = Count {
            native: 10.0,
            linux: 14.0,
            cokernel: 6.0,
        };
        assert_eq!(counts["a"], expected);
        assert!((expected.ratio() - 2.0).abs() < 1e-9);
        assert!(evaluate(&phases[..1], &marks, 1).is_err());
        assert!(evaluate(&phases, &marks[..4], 1).is_err());
    }
}
