// SPDX-License-Identifier: GPL-2.0
//! The commands of `cargo xtask`, one file each.

mod bench;
mod build;
mod check;
mod clean;
mod demo;
mod floors;
mod kernels;
mod test;
mod vm;

use clap::{Parser, Subcommand};

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
    Bench(bench::Bench),
    Build(build::Build),
    Check(check::Check),
    Clean(clean::Clean),
    Demo(demo::Demo),
    Floors(floors::Floors),
    Kernels(kernels::Kernels),
    Test(test::Test),
    Vm(Box<vm::Vm>),
}

/// Parses the command line, runs the command and returns the exit status.
#[must_use]
pub fn main() -> i32 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match cli.command {
        Command::Bench(bench) => bench.run(),
        Command::Build(build) => build.run(),
        Command::Check(check) => check.run(),
        Command::Clean(clean) => clean.run(),
        Command::Demo(demo) => demo.run(),
        Command::Floors(floors) => floors.run(),
        Command::Kernels(kernels) => kernels.run(),
        Command::Test(test) => test.run(),
        Command::Vm(vm) => vm.run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        INFRASTRUCTURE
    })
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
