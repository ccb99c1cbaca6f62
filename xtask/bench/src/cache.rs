// SPDX-License-Identifier: GPL-2.0
//! The number of lines of a program's caches that one call replaces, in the model of `xtask/counter`: what the
//! program finds gone when it goes on. The program fills its core's caches before each call.

use anyhow::{ensure, Context, Result};
use std::fs;

use crate::curves::{median, Curves};
use crate::experiment::{commands, run};
use crate::figure::{Axis, Curve, Figure};
use crate::instructions;
use xtask::vm::{Machine, VmOptions};
use xtask::{paths, ui};

const LEVELS: [&str; 3] = ["L1D", "L1I", "L2"];
/// The fact that must be the same on both sides: the caches are filled and nothing is called.
const CONTROL: &str = "no call";

/// The model makes the machine much slower, calls of Linux above all. So that a short call is answered as it is
/// without the model, while its thread looks, the co-kernel looks fifty times as long as usual.
const POLL: &str = "poll_us=5000";

/// Measures in one boot.
///
/// # Errors
/// The plugin does not build, the machine did not come up, or a program failed.
pub fn measure() -> Result<Figure> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder)?;
    let file = |name: &str| folder.join(name).into_os_string();
    let mut plugin = instructions::plugin(&folder.join("marks-cache"))?;
    plugin.push(",cache=");
    plugin.push(file("lines"));
    let machine = Machine::new(VmOptions {
        smp: 2,
        plugin: vec![plugin],
        kargs: Some(POLL.into()),
        ..VmOptions::default()
    })?;
    let runs = [("native", ""), ("ours", "mcexec")];
    let runs = runs.map(|(side, launcher)| {
        let program = format!(
            "taskset -c 0 {launcher} $programs/cache 4 64 1024 4096 65536 1048576 10485760"
        );
        run(side, program)
    });
    let curves = ui::step("bench cache", || commands(&machine, "cache", runs.into()))?;
    let lines = fs::read_to_string(file("lines")).context("target/bench/lines")?;
    evaluate(&curves, &read(&lines)?)
}

/// Lines replaced in each level, a line per call.
fn read(text: &str) -> Result<Vec<[f64; 3]>> {
    let parse = |line: &str| {
        let words: Vec<f64> = line
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        words
            .try_into()
            .ok()
            .with_context(|| format!("lines of the cache model: {line:?}"))
    };
    text.lines().map(parse).collect()
}

/// The guest's points say how many calls each has, in the order in which they were made.
fn evaluate(guest: &Curves, calls: &[[f64; 3]]) -> Result<Figure> {
    let mut rest = calls;
    let mut take = |count: f64| -> Result<[f64; 3]> {
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let (own, others) = rest
            .split_at_checked(count as usize)
            .context("bench cache: lines are missing")?;
        rest = others;
        Ok([0, 1, 2].map(|level| median(own.iter().map(|call| call[level]).collect())))
    };
    let mut curves = Vec::new();
    let mut facts = Vec::new();
    for (side, points) in guest {
        let mut levels = LEVELS.map(|level| Curve {
            name: format!("{side} {level}"),
            points: Vec::new(),
        });
        for (length, count) in &points.points {
            for (curve, lines) in levels.iter_mut().zip(take(*count)?) {
                curve.points.push((*length, lines));
            }
        }
        for (what, count) in &points.facts {
            for (level, lines) in LEVELS.iter().zip(take(*count)?) {
                facts.push((format!("{side} {level}"), what.clone(), lines));
            }
        }
        curves.extend(levels);
    }
    ensure!(
        rest.is_empty(),
        "bench cache: {} lines too many",
        rest.len()
    );
    let control = control(&facts);
    Ok(Figure {
        name: "cache".into(),
        title: "lines of the program's caches that a pread of a file in memory replaces",
        x: Axis {
            label: "length of the read, bytes",
            log: true,
        },
        y: Axis {
            label: "lines",
            log: true,
        },
        curves,
        facts,
        boots: 1,
        control,
    })
}

/// What the control replaces with ours, over natively; one line is added to both, because it may be none. NaN if there
/// was no control.
fn control(facts: &[(String, String, f64)]) -> f64 {
    let sum = |side: &str| {
        let of_side = |fact: &&(String, String, f64)| fact.0.starts_with(side) && fact.1 == CONTROL;
        let lines: Vec<f64> = facts.iter().filter(of_side).map(|fact| fact.2).collect();
        if lines.is_empty() {
            f64::NAN
        } else {
            1.0 + lines.iter().sum::<f64>()
        }
    };
    sum("ours") / sum("native")
}

/// The plugin's model; QEMU's symbols keep its own crate from being tested.
#[cfg(test)]
#[path = "../../counter/src/model.rs"]
mod model;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curves::Points;

    #[test]
    fn calls_belong_to_points_in_the_order_in_which_they_were_made() {
        let points = |length, fact: &str| Points {
            points: vec![(length, 3.0)],
            facts: vec![(fact.into(), 1.0)],
            ..Points::default()
        };
        let guest = vec![
            ("native".to_string(), points(4.0, CONTROL)),
            ("ours".to_string(), points(4.0, CONTROL)),
        ];
        let text = "1 2 3\n1 2 4\n9 9 9\n0 0 1\n5 5 5\n5 5 5\n5 5 5\n1 1 1\n";
        let calls = read(text).unwrap();
        let figure = evaluate(&guest, &calls).unwrap();
        assert_eq!(figure.curves.len(), 6);
        assert_eq!(figure.curves[2].name, "native L2");
        assert_eq!(figure.curves[2].points, [(4.0, 4.0)]);
        assert!((figure.control - 2.0).abs() < 1e-9);
        assert!(evaluate(&guest, &calls[1..]).is_err());
        assert!(evaluate(&guest[..1].to_vec(), &calls).is_err());
        assert!(read("1 2").is_err());
    }
}
