// SPDX-License-Identifier: GPL-2.0
//! Boots the machine as often as wanted and collects what its half of the measurement prints.

use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;

use crate::rows::{Kind, Row};
use xtask::ui;
use xtask::vm::{Machine, VmOptions};

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
    for (smp, rows) in machines(rows) {
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

/// Rows with the number of CPUs of the machine they are measured on.
pub(super) fn machines(rows: &[Row]) -> Vec<(u32, Vec<Row>)> {
    let (threads, others): (Vec<Row>, Vec<Row>) =
        rows.iter().partition(|row| row.kind == Kind::Threads);
    [(2, others), (4, threads)]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .collect()
}

fn one_boot(machine: &Machine, rows: &[Row]) -> Result<Vec<(String, Sample)>> {
    let mut samples: Vec<(String, Sample)> = Vec::new();
    let phases = phases(machine, rows)?;
    for row in rows {
        let of = |ours| {
            let ns: Vec<f64> = phases
                .iter()
                .filter(|phase| phase.row == row.name && phase.ours == ours)
                .map(|phase| phase.ns)
                .collect();
            (!ns.is_empty()).then(|| ns.iter().sum::<f64>() / ns.len() as f64)
        };
        let native = of(false).unwrap_or(1e6);
        let ours = of(true).with_context(|| format!("bench {}: not measured", row.name))?;
        samples.push((row.name.to_string(), Sample { native, ours }));
    }
    Ok(samples)
}

/// One run of a program that measures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    /// Name of the row.
    pub(super) row: String,
    /// On the co-kernel, not natively.
    pub(super) ours: bool,
    /// Median over the batches, ns per call.
    pub(super) ns: f64,
    /// Calls in a batch.
    pub(super) calls: u64,
    /// How many batches, each between two marks.
    pub(super) batches: usize,
}

/// Boots `machine` and measures `rows`; the phases in their order.
///
/// # Errors
/// The machine did not come up, or a row could not be measured.
pub(super) fn phases(machine: &Machine, rows: &[Row]) -> Result<Vec<Phase>> {
    let items = rows.iter().map(|row| {
        let kind = match row.kind {
            Kind::Program | Kind::Control => "program",
            Kind::Threads => "threads",
            Kind::Launch => "launch",
            Kind::Spawn => "spawn",
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

/// Reads `NAME native|ours NANOSECONDS CALLS BATCHES`.
fn parse(line: &str) -> Option<Phase> {
    let [row, side, ns, calls, batches] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
    let phase = Phase {
        row: row.to_string(),
        ours: side == "ours",
        ns: ns.parse().ok()?,
        calls: calls.parse().ok()?,
        batches: batches.parse().ok()?,
    };
    let sane = phase.ns > 0.0 && phase.calls > 0 && ["ours", "native"].contains(&side);
    sane.then_some(phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_guest_is_read_and_rubbish_is_not() {
        let phase = parse("null_local ours 205.0 1000 9").unwrap();
        assert!(phase.ours && phase.row == "null_local");
        assert_eq!((phase.calls, phase.batches), (1000, 9));
        assert!(!parse("null_local native 205.0 1000 9").unwrap().ours);
        for bad in [
            "",
            "x ours 1 2",
            "x ours 0 2 3",
            "x ours 1 2 3 4",
            "x its 1 2 3",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
