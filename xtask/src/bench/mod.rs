// SPDX-License-Identifier: GPL-2.0
//! Measuring: each figure natively and on the co-kernel within one boot, as ratios with their spread over boots.

pub mod cache;
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
