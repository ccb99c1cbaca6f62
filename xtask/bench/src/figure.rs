// SPDX-License-Identifier: GPL-2.0
//! The result of an experiment: curves over one axis, facts, and how far the control row moved.

use serde_json::{json, Value};
use std::collections::BTreeMap;

/// One axis of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: &'static str,
    /// Whether equal distances are equal ratios; then every value is above 0.
    pub log: bool,
}

/// One curve, ascending in x.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// A picture with its table.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files.
    pub name: String,
    /// What it says.
    pub title: &'static str,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves.
    pub curves: Vec<Curve>,
    /// Single numbers: of which curve, what, how much.
    pub facts: Vec<(String, String, f64)>,
    /// How many boots the medians are taken over.
    pub boots: u32,
    /// The control row's ratio, median of the boots.
    pub control: f64,
}

impl Figure {
    /// The figure as text: a line for each x, a column for each curve.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}: {}; medians of {} boots, control row moved by {:.1} %\n",
            self.name,
            self.title,
            self.boots,
            (self.control - 1.0).abs() * 100.0
        );
        text += &format!(
            "columns: {}; lines: {}\n{:>10}",
            self.y.label, self.x.label, ""
        );
        let width = |curve: &Curve| curve.name.chars().count().max(9);
        for curve in &self.curves {
            text += &format!("  {:>1$}", curve.name, width(curve));
        }
        text += "\n";
        for (x, values) in self.lines() {
            text += &format!("{x:>10}");
            for (value, curve) in values.into_iter().zip(&self.curves) {
                let shown = value.map_or("-".into(), short);
                text += &format!("  {shown:>0$}", width(curve));
            }
            text += "\n";
        }
        for (curve, what, value) in &self.facts {
            text += &format!("{curve}: {what}: {}\n", short(*value));
        }
        text
    }

    /// For each x the value of each curve.
    fn lines(&self) -> Vec<(f64, Vec<Option<f64>>)> {
        let mut lines: BTreeMap<u64, (f64, Vec<Option<f64>>)> = BTreeMap::new();
        for (index, curve) in self.curves.iter().enumerate() {
            for (x, y) in &curve.points {
                // The bits of numbers that are not negative are in the numbers' order.
                let line = lines.entry(x.to_bits());
                line.or_insert_with(|| (*x, vec![None; self.curves.len()]))
                    .1[index] = Some(*y);
            }
        }
        lines.into_values().collect()
    }

    /// The figure for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let curves: Vec<Value> = self
            .curves
            .iter()
            .map(|curve| json!({ "name": curve.name, "points": curve.points }))
            .collect();
        json!({
            "name": self.name, "title": self.title, "x": self.x.label, "y": self.y.label,
            "boots": self.boots, "control": self.control, "curves": curves, "facts": self.facts,
        })
    }
}

/// Four digits, or all before the point.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 1000.0 || large.fract() == 0.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn example() -> Figure {
        let curve = |name: &str, points: &[(f64, f64)]| Curve {
            name: name.into(),
            points: points.to_vec(),
        };
        Figure {
            name: "example".into(),
            title: "an example",
            x: Axis {
                label: "length, bytes",
                log: true,
            },
            y: Axis {
                label: "time, ns",
                log: false,
            },
            curves: vec![
                curve("native", &[(4.0, 100.0), (4096.0, 3000.5)]),
                curve("ours", &[(4096.0, 12.34)]),
            ],
            facts: vec![("ours".into(), "interrupts per second".into(), 0.0)],
            boots: 3,
            control: 0.98,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_x_and_says_what_is_missing() {
        let table = example().table();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(table.contains("medians of 3 boots, control row moved by 2.0 %"));
        assert_eq!(lines[2], ["native", "ours"]);
        assert_eq!(lines[3], ["4", "100", "-"]);
        assert_eq!(lines[4], ["4096", "3000", "12.3"]);
        assert!(table.ends_with("ours: interrupts per second: 0\n"));
    }
}
