// SPDX-License-Identifier: GPL-2.0
//! The commands of `cargo xtask`, one file each.

mod build;
mod clean;
mod demo;
mod elsewhere;
mod kernels;
mod test;
mod vm;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::ffi::OsString;

/// Status of everything that is the rig's fault rather than the command's.
const INFRASTRUCTURE: i32 = 125;

/// Builds, boots and tests mckernel-rs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure: native Linux and the co-kernel within one boot
    Bench(elsewhere::Elsewhere),
    Build(build::Build),
    /// Check format, lints, documentation, licence headers, spin loops and what imports what
    Check(elsewhere::Elsewhere),
    Clean(clean::Clean),
    Demo(demo::Demo),
    /// Show circles of imports, and imports that run upwards between the floors of a part
    Floors(elsewhere::Elsewhere),
    Kernels(kernels::Kernels),
    Test(test::Test),
    Vm(Box<vm::Vm>),
}

/// Parses the command line, runs the command and returns the exit status.
#[must_use]
pub fn main() -> i32 {
    answer(|cli: Cli| match cli.command {
        Command::Bench(bench) => bench.run("xtask-bench", "bench"),
        Command::Build(build) => build.run(),
        Command::Check(check) => check.run("xtask-check", "check"),
        Command::Clean(clean) => clean.run(),
        Command::Demo(demo) => demo.run(),
        Command::Floors(floors) => floors.run("xtask-check", "floors"),
        Command::Kernels(kernels) => kernels.run(),
        Command::Test(test) => test.run(),
        Command::Vm(vm) => vm.run(),
    })
}

/// Parses the command line of a program with commands of `cargo xtask`, lets `run` do what it says, and returns the
/// exit status.
pub fn answer<C: Parser>(run: impl FnOnce(C) -> Result<i32>) -> i32 {
    let command = match C::try_parse_from(words()) {
        Ok(command) => command,
        Err(error) => return usage(&error),
    };
    run(command).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        INFRASTRUCTURE
    })
}

/// The command line; `help NAME` is what that command's own `--help` says, which may be in another program.
fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.len() == 3 && words[1] == "help" {
        words = vec![words.remove(0), words.remove(1), "--help".into()];
    }
    words
}

/// Help and version are answers; anything else wrong on the command line is one line and 125.
fn usage(error: &clap::Error) -> i32 {
    if !error.use_stderr() {
        let _ = error.print();
        return 0;
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("bad command line");
    eprintln!("xtask: {}", line.strip_prefix("error: ").unwrap_or(line));
    INFRASTRUCTURE
}
