// SPDX-License-Identifier: GPL-2.0
//! From samples to a table, JSON, and the verdict on the control rows.

use serde_json::{json, Value};

use crate::rows::{Kind, Row};
use crate::run::{Sample, Samples};

/// How far a control row may be from 1.
const CONTROL_LIMIT: f64 = 0.03;

/// A row with its statistics over boots.
#[derive(Debug, Clone)]
pub struct Line {
    /// The row.
    pub row: Row,
    /// Median native ns.
    pub native: f64,
    /// Median ns on the co-kernel.
    pub ours: f64,
    /// Median, lowest and highest ratio.
    pub ratio: [f64; 3],
    /// How many boots.
    pub boots: usize,
}

impl Line {
    /// Whether a control row moved.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.row.kind == Kind::Control && control_moved(self.ratio[0])
    }
}

/// Whether a control row with this ratio voids the run.
#[must_use]
pub fn control_moved(ratio: f64) -> bool {
    // A ratio that is no number is none that stayed.
    ratio.is_nan() || (ratio - 1.0).abs() > CONTROL_LIMIT
}

/// One line per row that has samples.
#[must_use]
pub fn lines(rows: &[Row], samples: &Samples) -> Vec<Line> {
    rows.iter()
        .filter_map(|row| Some(line(*row, samples.get(row.name)?)))
        .collect()
}

fn line(row: Row, samples: &[Sample]) -> Line {
    let of = |value: fn(&Sample) -> f64| {
        let mut values: Vec<f64> = samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let ratios = of(Sample::ratio);
    Line {
        row,
        native: median(&of(|sample| sample.native)),
        ours: median(&of(|sample| sample.ours)),
        ratio: [
            median(&ratios),
            ratios.first().copied().unwrap_or(f64::NAN),
            ratios.last().copied().unwrap_or(f64::NAN),
        ],
        boots: samples.len(),
    }
}

/// The middle of sorted values; NaN of none.
pub(super) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The table as text.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<20} {:>12} {:>12} {:>8} {:>17} {:>7} {:>7}  {}\n",
        "row", "native ns", "ours ns", "ratio", "min–max", "reach", "aim", "what"
    );
    for line in lines {
        let target = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value}"));
        let [middle, low, high] = line.ratio;
        let native = match line.row.kind {
            Kind::Boot => "-".into(),
            _ => format!("{:.1}", line.native),
        };
        text += &format!(
            "{:<20} {native:>12} {:>12.1} {middle:>8.3} {:>17} {:>7} {:>7}  {} ({} boots)\n",
            line.row.name,
            line.ours,
            format!("{low:.3}–{high:.3}"),
            target(line.row.reach),
            target(line.row.aim),
            line.row.title,
            line.boots,
        );
    }
    text
}

/// The lines as JSON, for machines.
#[must_use]
pub fn json(lines: &[Line]) -> Value {
    let rows: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "name": line.row.name, "title": line.row.title, "boots": line.boots,
                "native_ns": line.native, "ours_ns": line.ours,
                "ratio": line.ratio[0], "ratio_min": line.ratio[1], "ratio_max": line.ratio[2],
                "reach": line.row.reach, "aim": line.row.aim,
                "control": line.row.kind == Kind::Control,
            })
        })
        .collect();
    json!({ "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    #[test]
    fn a_control_row_that_moved_voids_the_run() {
        let still = [Sample {
            native: 100.0,
            ours: 102.0,
        }];
        let moved = [Sample {
            native: 100.0,
            ours: 104.0,
        }];
        assert!(!line(ROWS[0], &still).is_void());
        assert!(line(ROWS[0], &moved).is_void());
        assert!(!line(ROWS[1], &moved).is_void());
    }

    #[test]
    fn medians_of_even_and_odd_counts() {
        assert!((median(&[1.0, 2.0, 9.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < 1e-9);
    }
}
