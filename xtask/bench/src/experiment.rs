// SPDX-License-Identifier: GPL-2.0
//! An experiment: commands in the guest, each a curve of a figure, between two runs of the control row.
//!
//! What a command prints is in [`crate::curves`].

use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;

use crate::curves::{median, read, Curves, Points};
use crate::figure::{Axis, Curve, Figure};
use crate::instructions;
use xtask::vm::{Machine, VmOptions};
use xtask::{paths, ui};

const SCRIPT: &str = include_str!("../../setup/experiment.sh");
/// How the control row's commands are called.
const CONTROL: [&str; 2] = ["control native", "control ours"];

/// One command of the guest.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The curve its points belong to.
    pub curve: String,
    /// For bash; `$programs` is where the test programs are.
    pub command: String,
}

/// Names the command of a curve.
pub(super) fn run(curve: impl Into<String>, command: impl Into<String>) -> Run {
    Run {
        curve: curve.into(),
        command: command.into(),
    }
}

/// What is done, and what the picture is called.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// Name on the command line and of the files.
    pub name: &'static str,
    /// Title of the picture.
    pub title: &'static str,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// CPUs of the machine; the co-kernel gets the upper half.
    pub smp: u32,
    /// Whether all commands have marks.
    pub marked: bool,
    /// The commands, in this order.
    pub runs: fn() -> Vec<Run>,
    /// From the points of one curve of one boot to those that are shown.
    pub evaluate: fn(Points) -> Points,
}

/// What is on the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Y {
    /// What the commands print.
    Printed,
    /// Instructions per call of both kernels and the program, but those of waiting: a loaded host does not change them.
    Instructions,
}

/// Does `experiment` in `boots` boots; y is what its commands print, or instructions per call.
///
/// # Errors
/// The machine did not come up, or a command failed; its instructions cannot be counted.
pub fn perform(experiment: &Experiment, boots: u32, y: Y) -> Result<Figure> {
    let name = experiment.name;
    ensure!(
        y == Y::Printed || experiment.marked,
        "bench {name}: has no marks to count instructions between"
    );
    let marks = paths::target().join("bench").join(format!("marks-{name}"));
    let machine = Machine::new(VmOptions {
        smp: experiment.smp,
        plugin: match y {
            Y::Printed => Vec::new(),
            Y::Instructions => vec![instructions::plugin(&marks)?],
        },
        ..VmOptions::default()
    })?;
    let mut all = Vec::new();
    let mut controls = Vec::new();
    for boot in 1..=boots {
        let what = format!("bench {name} boot {boot} of {boots}");
        let mut curves = ui::step(&what, || one_boot(&machine, experiment))?;
        if y == Y::Instructions {
            instructions::put_counts(&mut curves, &marks)?;
        }
        controls.push(take_control(&mut curves)?);
        let evaluated = curves
            .into_iter()
            .map(|(name, points)| (name, (experiment.evaluate)(points)));
        all.push(evaluated.collect());
    }
    let mut figure = summary(experiment, &all, controls);
    if y == Y::Instructions {
        figure.name += "-instructions";
        figure.y.label = "instructions per call, both kernels";
    }
    Ok(figure)
}

fn one_boot(machine: &Machine, experiment: &Experiment) -> Result<Curves> {
    let control = "taskset -c 0 $programs/bench control | sed 's/^[^ ]* /1 /'";
    let [native, ours] = CONTROL.map(|name| run(name, control));
    let ours = run(ours.curve, control.replacen('$', "mcexec $", 1));
    let mut runs = vec![native.clone(), ours];
    runs.extend((experiment.runs)());
    runs.push(native);
    commands(machine, experiment.name, runs)
}

/// Boots `machine` and has `runs` done in the guest: what they print.
///
/// # Errors
/// The machine did not come up, a command failed, or it printed something else.
pub(super) fn commands(machine: &Machine, name: &str, runs: Vec<Run>) -> Result<Curves> {
    let argv: Vec<String> = ["bash", "-c", SCRIPT, "experiment"]
        .map(String::from)
        .into_iter()
        .chain(runs.into_iter().flat_map(|run| [run.curve, run.command]))
        .collect();
    let outcome = machine.run(&argv, b"")?;
    ensure!(
        outcome.status == 0,
        "bench {name}: status {} in the guest: {}: see {}",
        outcome.status,
        String::from_utf8_lossy(&outcome.stderr).trim_end(),
        outcome.console.display()
    );
    read(&String::from_utf8_lossy(&outcome.stdout))
}

/// The control row's ratio, taken out of `curves`.
fn take_control(curves: &mut Curves) -> Result<f64> {
    let mean = |name: &str| {
        let runs = curves.iter().filter(|(curve, _)| curve == name);
        let points = runs.flat_map(|(_, points)| &points.points);
        let values: Vec<f64> = points.map(|point| point.1).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let (native, ours) = (mean(CONTROL[0]), mean(CONTROL[1]));
    curves.retain(|(name, _)| !CONTROL.contains(&name.as_str()));
    let (ours, native) = ours.zip(native).context("bench control: not measured")?;
    Ok(ours / native)
}

/// Medians over the boots, point by point and fact by fact.
fn summary(experiment: &Experiment, all: &[Curves], controls: Vec<f64>) -> Figure {
    let first = all.first().map_or(&[][..], Vec::as_slice);
    let mut figure = Figure {
        name: experiment.name.into(),
        title: experiment.title,
        x: experiment.x,
        y: experiment.y,
        curves: Vec::new(),
        facts: Vec::new(),
        boots: all.len().try_into().unwrap_or(u32::MAX),
        control: median(controls),
    };
    for (name, points) in first {
        let same = || all.iter().flatten().filter(|(curve, _)| curve == name);
        let mut by_x: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (x, y) in same().flat_map(|(_, points)| &points.points) {
            by_x.entry(x.to_bits()).or_default().push(*y);
        }
        figure.curves.push(Curve {
            name: name.clone(),
            points: by_x
                .into_iter()
                // What most boots do not have, the median boot has not either.
                .filter(|(_, ys)| ys.len() * 2 > all.len())
                .map(|(x, ys)| (f64::from_bits(x), median(ys)))
                .collect(),
        });
        for (what, _) in &points.facts {
            let values = same().flat_map(|(_, points)| &points.facts);
            let values = values.filter(|(fact, _)| fact == what).map(|fact| fact.1);
            let value = median(values.collect());
            figure.facts.push((name.clone(), what.clone(), value));
        }
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "control native\t1 100\ncontrol ours\t1 102\nnative\t4 7.5\nnative\tworst = 3\ncontrol native\t1 104\n";

    #[test]
    fn the_control_row_is_taken_out_and_the_rest_kept() {
        let mut curves = read(TEXT).unwrap();
        assert_eq!(curves.len(), 4, "the order of marks is the order of runs");
        assert!((take_control(&mut curves).unwrap() - 1.0).abs() < 1e-9);
        let native = Points {
            points: vec![(4.0, 7.5)],
            facts: vec![("worst".into(), 3.0)],
            ..Points::default()
        };
        assert_eq!(curves, [("native".to_string(), native)]);
        assert!(take_control(&mut curves).is_err());
    }

    #[test]
    fn boots_are_summed_up_by_their_medians() {
        let boot = |y| {
            let points = Points {
                points: vec![(8.0, y), (4.0, 1.0)],
                facts: vec![("worst".into(), y)],
                ..Points::default()
            };
            vec![("native".to_string(), points)]
        };
        let boots = [boot(5.0), boot(9.0), boot(6.0)];
        let figure = summary(&crate::noise::NOISE, &boots, vec![1.0, 1.2, 1.1]);
        assert_eq!(figure.curves[0].points, [(4.0, 1.0), (8.0, 6.0)]);
        assert_eq!(figure.facts, [("native".into(), "worst".into(), 6.0)]);
        assert!((figure.control - 1.1).abs() < 1e-9);
    }
}
