// SPDX-License-Identifier: GPL-2.0
//! ihkconfig: takes cores and memory from Linux, gives them back, creates and destroys instances.
#![deny(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ihk_ikc::uapi::{CpuSet, MemorySpec};
use ihk_tools::device::{parse_os, Mcd};
use ihk_tools::failure::{run_tool, say, say_json, Failure, Result};
use ihk_tools::operand::{parse_cpus, parse_memory, print_cpus, print_memory};
use ihk_tools::reasons::{reason, Action};
use ihk_tools::{list, memory, topology, views};
use nix::errno::Errno;

/// Take cores and memory from Linux for co-kernels.
#[derive(Parser)]
#[command(name = "ihkconfig", version)]
struct Command {
    /// The resource device: 0 or /dev/mcd0
    dev: String,
    /// Answer queries in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Take from Linux: all of it or nothing
    #[command(subcommand)]
    Reserve(Reserve),
    /// Give back to Linux what is reserved and not assigned
    #[command(subcommand)]
    Release(Release),
    /// Show what is reserved and not assigned
    #[command(subcommand)]
    Query(Query),
    /// Create a co-kernel instance; prints its number
    Create,
    /// Destroy an instance; what it held is reserved again
    Destroy {
        /// Its number
        os: String,
        /// Even if programs run
        #[arg(long)]
        force: bool,
    },
    /// Show what there is
    #[command(subcommand)]
    Get(Get),
}

#[derive(Subcommand)]
enum Reserve {
    /// CPUs, for example 2-3,6
    Cpu { list: String },
    /// Memory, for example 512M@0,1G@1
    Mem { spec: String },
}

#[derive(Subcommand)]
enum Release {
    /// CPUs, or all; they are online when the command ends
    Cpu { list: String },
    /// Memory, or all
    Mem { spec: String },
}

#[derive(Subcommand)]
enum Query {
    /// CPUs
    Cpu,
    /// Memory
    Mem,
}

#[derive(Subcommand)]
enum Get {
    /// Numbers of the existing instances
    #[command(name = "os_instances")]
    OsInstances,
}

fn main() -> ExitCode {
    run_tool("ihkconfig", run)
}

fn run(command: Command) -> Result {
    let json = command.json;
    match command.verb {
        Verb::Reserve(Reserve::Cpu { list }) => reserve_cpus(&command.dev, &list),
        Verb::Reserve(Reserve::Mem { spec }) => reserve_memory(&command.dev, &spec),
        Verb::Release(Release::Cpu { list }) => release_cpus(&command.dev, &list),
        Verb::Release(Release::Mem { spec }) => release_memory(&command.dev, &spec),
        Verb::Query(Query::Cpu) => print_cpus(query(Mcd::open(&command.dev)?.cpus())?, json),
        Verb::Query(Query::Mem) => print_memory(query(Mcd::open(&command.dev)?.memory())?, json),
        Verb::Create => create(&command.dev, json),
        Verb::Destroy { os, force } => destroy(&command.dev, &os, force),
        Verb::Get(Get::OsInstances) => print_instances(&command.dev, json),
    }
}

/// The answer of a query.
fn query<T>(answer: std::result::Result<T, Errno>) -> Result<T> {
    answer.map_err(|errno| Failure::refused("query", reason(Action::Other, errno)))
}

fn reserve_cpus(dev: &str, list: &str) -> Result {
    let what = format!("reserve cpu {list}");
    let cpus = parse_cpus(&what, list)?;
    let device = Mcd::open(dev)?;
    topology::check_cpus(&what, &cpus)?;
    let done = device.reserve_cpus(&cpus);
    done.map_err(|errno| Failure::refused(what, reason(Action::ReserveCpu, errno)))
}

fn reserve_memory(dev: &str, spec: &str) -> Result {
    let what = format!("reserve mem {spec}");
    let memory = parse_memory(&what, spec)?;
    let device = Mcd::open(dev)?;
    topology::check_nodes(&what, &memory)?;
    let done = device.reserve_memory(&memory);
    done.map_err(|errno| Failure::refused(what, reason(Action::ReserveMemory, errno)))
}

fn release_cpus(dev: &str, list: &str) -> Result {
    let what = format!("release cpu {list}");
    let wanted: Option<CpuSet> = if list == "all" {
        None
    } else {
        Some(parse_cpus(&what, list)?)
    };
    let device = Mcd::open(dev)?;
    let reserved = query(device.cpus())?;
    let cpus = wanted.unwrap_or(reserved);
    if let Some(cpu) = list::numbers(&list::difference(&cpus, &reserved)).first() {
        return Err(Failure::refused(
            what,
            format_args!("CPU {cpu} is not reserved, or assigned"),
        ));
    }
    if list::is_empty(&cpus) {
        return Ok(());
    }
    let done = device.release_cpus(&cpus);
    done.map_err(|errno| Failure::refused(what, reason(Action::UseReserved, errno)))
}

fn release_memory(dev: &str, spec: &str) -> Result {
    let what = format!("release mem {spec}");
    let wanted: Option<MemorySpec> = if spec == "all" {
        None
    } else {
        Some(parse_memory(&what, spec)?)
    };
    let device = Mcd::open(dev)?;
    let reserved = query(device.memory())?;
    let memory = wanted.unwrap_or(reserved);
    let too_much = memory::missing(&memory, &reserved);
    if !memory::is_empty(&too_much) {
        let text = memory::print(&too_much);
        return Err(Failure::refused(
            what,
            format_args!("{text} is not reserved, or assigned"),
        ));
    }
    if memory::is_empty(&memory) {
        return Ok(());
    }
    let done = device.release_memory(&memory);
    done.map_err(|errno| Failure::refused(what, reason(Action::UseReserved, errno)))
}

fn create(dev: &str, json: bool) -> Result {
    let created = Mcd::open(dev)?.create();
    let os = created.map_err(|errno| Failure::refused("create", reason(Action::Create, errno)))?;
    if json {
        return say_json(&serde_json::json!({ "os": os }));
    }
    say(format_args!("{os}\n"))
}

fn destroy(dev: &str, os: &str, force: bool) -> Result {
    let number = parse_os(os)?;
    let done = Mcd::open(dev)?.destroy(number, force);
    done.map_err(|errno| {
        Failure::refused(format_args!("destroy {os}"), reason(Action::Stop, errno))
    })?;
    views::forget(number);
    Ok(())
}

fn print_instances(dev: &str, json: bool) -> Result {
    let instances = query(Mcd::open(dev)?.instances())?;
    if json {
        return say_json(&serde_json::json!({ "os_instances": instances }));
    }
    let numbers: Vec<_> = instances.iter().map(u32::to_string).collect();
    say(format_args!("{}\n", numbers.join(",")))
}
