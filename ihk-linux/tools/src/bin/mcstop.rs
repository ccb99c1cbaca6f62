// SPDX-License-Identifier: GPL-2.0
//! mcstop: shuts co-kernels down and gives their cores and memory back to Linux.
#![deny(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use ihk_tools::device::{parse_os, Mcd, Mcos};
use ihk_tools::failure::{run_tool, Failure, Result};
use ihk_tools::reasons::{reason, Action};
use ihk_tools::{modules, partition};
use nix::errno::Errno;

/// Shut down, give everything back to Linux and unload the modules.
#[derive(Parser)]
#[command(name = "mcstop", version)]
struct Command {
    /// Only this instance; the others and the modules stay
    #[arg(short, value_name = "OS")]
    os: Option<String>,
    /// Even if programs run
    #[arg(short)]
    force: bool,
    /// Leave the modules loaded
    #[arg(long)]
    keep_modules: bool,
}

fn main() -> ExitCode {
    run_tool("mcstop", run)
}

fn run(command: Command) -> Result {
    let only = command.os.as_deref().map(parse_os).transpose()?;
    if let Some(mcd) = Mcd::open_if_loaded()? {
        stop_instances(&mcd, only, command.force)?;
        let left = mcd.instances().map_err(query)?;
        if only.is_some() && !left.is_empty() {
            return Ok(());
        }
        let (cpus, memory) = (mcd.cpus().map_err(query)?, mcd.memory().map_err(query)?);
        partition::give_back(&mcd, &cpus, &memory)?;
    }
    if command.keep_modules {
        return Ok(());
    }
    modules::unload()
}

fn query(errno: Errno) -> Failure {
    Failure::refused("query", reason(Action::Other, errno))
}

/// Takes down the instances that exist, or the one that is named.
fn stop_instances(mcd: &Mcd, only: Option<u32>, force: bool) -> Result {
    let mut instances = mcd.instances().map_err(query)?;
    instances.retain(|number| only.is_none_or(|only| only == *number));
    for number in instances {
        partition::take_down(mcd, Mcos::open(&number.to_string())?, force)?;
    }
    Ok(())
}
