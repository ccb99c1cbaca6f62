// SPDX-License-Identifier: GPL-2.0
//! Boot tests: one module per behaviour, one claim per test, in one folder per theme. Long ones are
//! `#[ignore = "long: …"]`.

// `claims!` and `names!`, made of the claims of all scripts and guest programs.
include!(concat!(env!("OUT_DIR"), "/claims.rs"));

#[macro_use]
mod script;

#[path = "../address_space/address_space.rs"]
mod address_space;
#[path = "../rig/archive.rs"]
mod archive;
#[path = "../hostile/attacks.rs"]
mod attacks;
#[path = "../hostile/bad_input.rs"]
mod bad_input;
#[path = "../software/commands.rs"]
mod commands;
#[path = "../hostile/confinement.rs"]
mod confinement;
#[path = "../life_cycle/cycles.rs"]
mod cycles;
#[path = "../rig/demo.rs"]
mod demo;
#[path = "../exec/exec.rs"]
mod exec;
#[path = "../threads/few_cpus.rs"]
mod few_cpus;
#[path = "../files/files.rs"]
mod files;
#[path = "../hostile/fuzz.rs"]
mod fuzz;
#[path = "../memory/giants.rs"]
mod giants;
#[path = "../kernels/kernels.rs"]
mod kernels;
#[path = "../processes/kill.rs"]
mod kill;
#[path = "../launcher/launcher.rs"]
mod launcher;
#[path = "../kernels/matrix.rs"]
mod matrix;
#[path = "../memory/memory.rs"]
mod memory;
#[path = "../memory/nodes.rs"]
mod nodes;
#[path = "../threads/noise.rs"]
mod noise;
#[path = "../life_cycle/panic.rs"]
mod panic;
#[path = "../partition/partition.rs"]
mod partition;
#[path = "../processes/processes.rs"]
mod processes;
#[path = "../programs/programs.rs"]
mod programs;
#[path = "../rig/rig.rs"]
mod rig;
#[path = "../threads/sakura.rs"]
mod sakura;
#[path = "../shared/shared.rs"]
mod shared;
#[path = "../signals/signals.rs"]
mod signals;
#[path = "../life_cycle/stall.rs"]
mod stall;
#[path = "../processes/storm.rs"]
mod storm;
#[path = "../software/stress.rs"]
mod stress;
#[path = "../threads/threads.rs"]
mod threads;
#[path = "../views/views.rs"]
mod views;
