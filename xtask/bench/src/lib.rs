// SPDX-License-Identifier: GPL-2.0
//! Measuring: each figure natively and on the co-kernel within one boot, as ratios with their spread over boots.

pub mod cache;
pub mod command;
pub mod curves;
pub mod experiment;
pub mod figure;
pub mod instructions;
pub mod noise;
pub mod plot;
pub mod report;
pub mod rows;
pub mod run;
pub mod scaling;
pub mod tasks;
pub mod ways;

use anyhow::{ensure, Result};

use experiment::Experiment;

/// All experiments.
pub const EXPERIMENTS: [Experiment; 6] = [
    noise::NOISE,
    ways::WAYS,
    scaling::SCALING_CALLS,
    scaling::SCALING_READS,
    tasks::TASKS_CALLS,
    tasks::TASKS_LOOPS,
];

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

#[cfg(test)]
mod tests {
    use super::select;

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
}
