// SPDX-License-Identifier: GPL-2.0
//! mcreboot: boots a co-kernel on cores and memory taken from Linux, in one command.
#![deny(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ihk_tools::device::{parse_os, Mcd, Mcos};
use ihk_tools::failure::{run_tool, say, Failure, Result};
use ihk_tools::partition::{self, Plan};
use ihk_tools::reasons::{reason, Action};
use ihk_tools::record::{self, Request};
use ihk_tools::{image, list, memory, modules};

/// Boot a co-kernel. Asking again for what runs already changes nothing.
#[derive(Parser)]
#[command(name = "mcreboot", version)]
struct Command {
    /// CPUs to take from Linux [default: the upper half of the cores]
    #[arg(short, value_name = "LIST")]
    cpu: Option<String>,
    /// Memory to take from Linux [default: 1/4 of the free memory of each node]
    #[arg(short, value_name = "SPEC")]
    mem: Option<String>,
    /// Boot arguments
    #[arg(
        short,
        value_name = "KARGS",
        default_value = "",
        allow_hyphen_values = true
    )]
    kargs: String,
    /// The co-kernel
    #[arg(short, value_name = "IMAGE", default_value = image::DEFAULT_PATH)]
    image: PathBuf,
    /// Number of the instance
    #[arg(short, value_name = "OS", default_value = "0")]
    os: String,
    /// Even if programs run on the instance
    #[arg(short)]
    force: bool,
    /// Let this group run programs
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Print what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    run_tool("mcreboot", run)
}

fn run(command: Command) -> Result {
    let number = parse_os(&command.os)?;
    let plan = Plan::new(Request {
        cpu: command.cpu,
        mem: command.mem,
        kargs: command.kargs,
        image: command.image,
        group: command.group,
    })?;
    if command.dry_run {
        return print_plan(number, &plan);
    }
    let loaded_before = modules::loaded();
    modules::load()?;
    let booted = boot(number, &plan, command.force);
    if booted.is_err() && !loaded_before {
        let _ = modules::unload();
    }
    booted
}

/// Makes instance `number` what `plan` says, with the modules loaded.
fn boot(number: u32, plan: &Plan, force: bool) -> Result {
    let mcd = Mcd::open("0")?;
    let before = record::read(number);
    if let Some(os) = existing(&mcd, number)? {
        if partition::is_fulfilled(&os, plan) {
            return Ok(());
        }
        partition::take_down(&mcd, os, force)?;
    }
    let built = partition::build(&mcd, number, plan);
    if let (Err(_), Some(before)) = (&built, before) {
        // The old instance is better than none; the error told is that of the new one.
        let _ = Plan::new(before.request).and_then(|plan| partition::build(&mcd, number, &plan));
    }
    built
}

/// Instance `number`, if it exists.
fn existing(mcd: &Mcd, number: u32) -> Result<Option<Mcos>> {
    let failed = |errno| Failure::refused("get os_instances", reason(Action::Other, errno));
    if mcd.instances().map_err(failed)?.contains(&number) {
        Mcos::open(&number.to_string()).map(Some)
    } else {
        Ok(None)
    }
}

fn print_plan(number: u32, plan: &Plan) -> Result {
    let mut lines = vec!["modprobe mcctrl".to_owned()];
    let mut running = (None, None);
    if let Some(mcd) = Mcd::open_if_loaded()? {
        if let Some(os) = existing(&mcd, number)? {
            if partition::is_fulfilled(&os, plan) {
                return say("nothing to do\n");
            }
            running = (os.cpus().ok(), os.memory().ok());
            lines.push(format!("ihkosctl {number} shutdown"));
            lines.push(format!("ihkconfig 0 destroy {number}"));
            lines.push("ihkconfig 0 release cpu all".to_owned());
            lines.push("ihkconfig 0 release mem all".to_owned());
        }
    }
    let cpus = list::print(
        &plan
            .cpus
            .or(running.0)
            .map_or_else(|| plan.choose_cpus(), Ok)?,
    );
    let mem = memory::print(
        &plan
            .memory
            .or(running.1)
            .map_or_else(|| plan.choose_memory(), Ok)?,
    );
    lines.push(format!("ihkconfig 0 reserve cpu {cpus}"));
    lines.push(format!("ihkconfig 0 reserve mem {mem}"));
    lines.push("ihkconfig 0 create".to_owned());
    lines.push(format!("ihkosctl {number} assign cpu {cpus}"));
    lines.push(format!("ihkosctl {number} assign mem {mem}"));
    lines.push(format!(
        "ihkosctl {number} load {}",
        plan.request.image.display()
    ));
    lines.push(format!("ihkosctl {number} kargs {:?}", plan.request.kargs));
    lines.push(format!("ihkosctl {number} boot"));
    say(lines.join("\n") + "\n")
}
