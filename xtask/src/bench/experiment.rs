// SPDX-License-Identifier: GPL-2.0
//! An experiment: commands in the guest, each a curve of a figure, between two runs of the control row.
//!
//! A command prints points, `X Y`, and facts, `WHAT = NUMBER`. If it has marks for the instruction counter, its points
//! are `X Y CALLS BATCHES`: each batch of so many calls is between two marks.

use anyhow::{bail, ensure, Context, Result};
use std::collections::BTreeMap;

use crate::bench::figure::{Axis, Curve, Figure};
use crate::bench::{instructions, report, EXPERIMENTS};
use crate::vm::{Machine, VmOptions};
use crate::{paths, ui};

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

/// The points of a curve, and its facts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// x and y.
    pub points: Vec<(f64, f64)>,
    /// Calls in a batch and batches of each point, if they have marks.
    pub batches: Vec<(u64, usize)>,
    /// What, and how much.
    pub facts: Vec<(String, f64)>,
}

/// What each command printed, in the order in which they were run.
pub(super) type Curves = Vec<(String, Points)>;

/// The experiments with these names; `tasks` is all whose name begins with `tasks_`. None if no name is one's.
///
/// # Errors
/// Some names are experiments' and others are not.
pub fn select(names: &[String]) -> Result<Vec<&'static Experiment>> {
    let is = |experiment: &Experiment, name: &String| {
        let rest = experiment.name.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let fitting = |name| EXPERIMENTS.iter().any(|it| is(it, name));
    if let Some(row) = names.iter().find(|name| !fitting(name)) {
        ensure!(
            !names.iter().any(fitting),
            "bench {row}: not an experiment like the others"
        );
        return Ok(Vec::new());
    }
    let wanted = |it: &&Experiment| names.iter().any(|name| is(it, name));
    Ok(EXPERIMENTS.iter().filter(wanted).collect())
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

/// Reads lines `CURVE<tab>X Y`, perhaps with ` CALLS BATCHES`, and `CURVE<tab>WHAT = NUMBER`.
fn read(text: &str) -> Result<Curves> {
    let mut curves = Curves::new();
    for line in text.lines() {
        let wrong = || format!("bench: guest said {line:?}");
        let (name, rest) = line.split_once('\t').with_context(wrong)?;
        if curves.last().is_none_or(|(curve, _)| curve != name) {
            curves.push((name.into(), Points::default()));
        }
        let Some((_, points)) = curves.last_mut() else {
            continue;
        };
        if let Some((what, number)) = rest.split_once(" = ") {
            let number = number.parse().with_context(wrong)?;
            points.facts.push((what.into(), number));
        } else {
            let words: Vec<&str> = rest.split(' ').collect();
            let number = |word: &str| word.parse::<f64>().with_context(wrong);
            match words.as_slice() {
                [x, y] => points.points.push((number(x)?, number(y)?)),
                [x, y, calls, batches] => {
                    points.points.push((number(x)?, number(y)?));
                    let calls = calls.parse().with_context(wrong)?;
                    let batches = batches.parse().with_context(wrong)?;
                    points.batches.push((calls, batches));
                }
                _ => bail!(wrong()),
            }
        }
    }
    Ok(curves)
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

/// The middle of `values`; NaN of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    report::median(&values)
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
    fn experiments_are_chosen_by_name_and_not_mixed_with_rows() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            select(&names).map(|all| all.iter().map(|it| it.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["noise"]).unwrap(), ["noise"]);
        assert_eq!(names(&["tasks"]).unwrap(), ["tasks_calls", "tasks_loops"]);
        assert!(names(&["task"]).unwrap().is_empty());
        assert!(names(&[]).unwrap().is_empty());
        assert!(names(&["noise", "futex"]).is_err());
    }

    #[test]
    fn rubbish_is_refused() {
        for text in [
            "native 4 7",
            "native\t4",
            "native\t4 x",
            "native\tworst = x",
            "native\t4 5 6",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
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
        let figure = summary(&crate::bench::noise::NOISE, &boots, vec![1.0, 1.2, 1.1]);
        assert_eq!(figure.curves[0].points, [(4.0, 1.0), (8.0, 6.0)]);
        assert_eq!(figure.facts, [("native".into(), "worst".into(), 6.0)]);
        assert!((figure.control - 1.1).abs() < 1e-9);
    }
}
