// SPDX-License-Identifier: GPL-2.0
//! Builds the parts that travel into the guest, each into its place under `target/guest`.

pub mod cokernel;
pub mod modules;
pub mod output;
mod sync;
pub mod test_programs;
pub mod tools;

use anyhow::Result;
use clap::ValueEnum;
use std::fs;

use crate::paths;
use crate::setup::{cache, Environment};

/// The parts that can be built on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The co-kernel image.
    Cokernel,
    /// ihk.ko and mcctrl.ko.
    Modules,
    /// Commands of the node, process 1 of the guest, guest programs of the tests.
    Tools,
}

/// Builds `parts`; an unchanged part costs a moment.
///
/// # Errors
/// The first part that does not build; its log is named.
pub fn build(environment: &Environment, parts: &[Part]) -> Result<()> {
    fs::create_dir_all(paths::target())?;
    let _lock = cache::lock(
        &paths::target().join("xtask.lock"),
        "another run is building in this clone",
    )?;
    for part in parts {
        match part {
            Part::Cokernel => cokernel::build(environment)?,
            Part::Modules => modules::build(environment)?,
            Part::Tools => {
                tools::build(environment)?;
                test_programs::build(environment)?;
            }
        }
    }
    Ok(())
}

/// Builds everything.
///
/// # Errors
/// As [`build`].
pub fn build_all(environment: &Environment) -> Result<()> {
    build(environment, Part::value_variants())
}
