// SPDX-License-Identifier: GPL-2.0
//! Boots the machine as often as wanted and collects what its half of the measurement prints.

use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;

use crate::bench::rows::{Kind, Row};
use crate::ui;
use crate::vm::{Machine, VmOptions};

const SCRIPT: &str = include_str!("../../setup/bench.sh");

/// One row of one boot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// ns natively, the mean of before and after; 1e6 where there is no native counterpart, so that the ratio reads
    /// as milliseconds.
    pub native: f64,
    /// ns on the co-kernel.
    pub ours: f64,
}

impl Sample {
    /// Ours over native; smaller is better.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ours / self.native
    }
}

/// The samples of each row, one per boot.
pub type Samples = BTreeMap<String, Vec<Sample>>;

/// Measures `rows` in `boots` boots of a machine with one Linux CPU and one co-kernel CPU; rows about threads in as many
/// of one with two of each.
///
/// # Errors
/// The machine did not come up, or a row could not be measured.
pub fn measure(rows: &[Row], boots: u32) -> Result<Samples> {
    let mut samples = Samples::new();
    let (threads, others): (Vec<Row>, Vec<Row>) =
        rows.iter().partition(|row| row.kind == Kind::Threads);
    for (smp, rows) in [(2, others), (4, threads)] {
        if rows.is_empty() {
            continue;
        }
        let machine = Machine::new(VmOptions {
            smp,
            ..VmOptions::default()
        })?;
        for boot in 1..=boots {
            let what = format!("bench boot {boot} of {boots}, {smp} CPUs");
            for (name, sample) in ui::step(&what, || one_boot(&machine, &rows))? {
                samples.entry(name).or_default().push(sample);
            }
        }
    }
    for row in rows {
        let taken = samples.get(row.name).map_or(0, Vec::len);
        ensure!(
            taken == boots as usize,
            "bench {}: measured in {taken} of {boots} boots",
            row.name
        );
    }
    Ok(samples)
}

fn one_boot(machine: &Machine, rows: &[Row]) -> Result<Vec<(String, Sample)>> {
    let items = rows.iter().map(|row| {
        let kind = match row.kind {
            Kind::Program | Kind::Control => "program",
            Kind::Threads => "threads",
            Kind::Tasks => "tasks",
            Kind::Launch => "launch",
            Kind::Boot => "boot",
        };
        format!("{kind}:{}", row.name)
    });
    let argv: Vec<String> = ["bash", "-c", SCRIPT, "bench"]
        .map(String::from)
        .into_iter()
        .chain(items)
        .collect();
    let outcome = machine.run(&argv, b"")?;
    if outcome.status != 0 {
        bail!(
            "bench: status {} in the guest: {}: see {}",
            outcome.status,
            String::from_utf8_lossy(&outcome.stderr).trim_end(),
            outcome.console.display()
        );
    }
    String::from_utf8_lossy(&outcome.stdout)
        .lines()
        .map(|line| parse(line).with_context(|| format!("bench: guest said {line:?}")))
        .collect()
}

/// Reads `NAME NATIVE_BEFORE NATIVE_AFTER OURS`.
fn parse(line: &str) -> Option<(String, Sample)> {
    let mut words = line.split(' ');
    let (name, before, after, ours) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let native = match (before, after) {
        ("-", "-") => 1e6,
        _ => (before.parse::<f64>().ok()? + after.parse::<f64>().ok()?) / 2.0,
    };
    let ours = ours.parse().ok()?;
    let sane = native > 0.0 && ours > 0.0 && words.next().is_none();
    sane.then(|| (name.to_string(), Sample { native, ours }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_guest_is_read_and_rubbish_is_not() {
        let (name, sample) = parse("null_local 400.0 420.0 205.0").unwrap();
        assert_eq!(name, "null_local");
        assert!((sample.ratio() - 0.5).abs() < 1e-9);
        assert!((parse("boot - - 60000000").unwrap().1.ratio() - 60.0).abs() < 1e-9);
        for bad in ["", "x 1 2", "x 1 2 0", "x 1 2 3 4", "x a 2 3"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
