// SPDX-License-Identifier: GPL-2.0
//! Curves as commands in the guest print them.
//!
//! A command prints points, `X Y`, and facts, `WHAT = NUMBER`. If it has marks for the instruction counter, its points
//! are `X Y CALLS BATCHES`: each batch of so many calls is between two marks.

use anyhow::{bail, Context, Result};

use crate::report;

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

/// Reads lines `CURVE<tab>X Y`, perhaps with ` CALLS BATCHES`, and `CURVE<tab>WHAT = NUMBER`.
pub(super) fn read(text: &str) -> Result<Curves> {
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

/// The middle of `values`; NaN of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    report::median(&values)
}

#[cfg(test)]
mod tests {
    use super::read;

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
}
