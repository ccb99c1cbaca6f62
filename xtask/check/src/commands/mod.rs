// SPDX-License-Identifier: GPL-2.0
//! The commands that this program has of `cargo xtask`, one file each.

mod check;
mod floors;

use clap::Parser;

/// Looks for faults in the sources.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Cli {
    Check(check::Check),
    Floors(floors::Floors),
}

/// Parses the command line, runs the command and returns the exit status.
#[must_use]
pub fn main() -> i32 {
    xtask::commands::answer(|cli| match cli {
        Cli::Check(check) => check.run(),
        Cli::Floors(floors) => floors.run(),
    })
}
