// SPDX-License-Identifier: GPL-2.0
//! Boot tests: one module per behaviour, one claim per test. Long ones are `#[ignore = "long: …"]`.

mod archive;
mod bad_input;
mod commands;
mod cycles;
mod demo;
mod few_cpus;
mod files;
mod fuzz;
mod giants;
mod kernels;
mod kill;
mod launcher;
mod matrix;
mod memory;
mod nodes;
mod noise;
mod panic;
mod partition;
mod processes;
mod programs;
mod rig;
mod sakura;
mod script;
mod shared;
mod signals;
mod stall;
mod storm;
mod stress;
mod threads;
mod views;
