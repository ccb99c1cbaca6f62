// SPDX-License-Identifier: GPL-2.0
//! ihkosctl: steers one co-kernel instance.
#![deny(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ihk_ikc::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use ihk_ikc::uapi::Usage;
use ihk_tools::device::{Call, Mcos};
use ihk_tools::failure::{run_tool, say, say_json, Failure, Result};
use ihk_tools::operand::{parse_cpus, parse_memory, print_cpus, print_memory};
use ihk_tools::reasons::{reason, Action};
use ihk_tools::{dump, ikc_map, image, instance, kmsg, list, memory, status};

/// Steer one co-kernel instance.
#[derive(Parser)]
#[command(name = "ihkosctl", version)]
struct Command {
    /// The instance: 0 or /dev/mcos0
    os: String,
    /// Answer queries in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Give the instance what is reserved
    #[command(subcommand)]
    Assign(Resource),
    /// Take from the instance; reserved again
    #[command(subcommand)]
    Release(Resource),
    /// Keep an image for the next boot
    Load {
        /// The co-kernel
        #[arg(default_value = image::DEFAULT_PATH)]
        image: PathBuf,
    },
    /// Set the arguments of the next boot
    Kargs {
        /// As one operand, for example "poll_us=20"
        #[arg(allow_hyphen_values = true)]
        arguments: String,
    },
    /// Boot; ends when the instance is RUNNING
    Boot,
    /// Shut down
    Shutdown {
        /// Even if programs run
        #[arg(long)]
        force: bool,
    },
    /// Show what the instance has
    #[command(subcommand)]
    Query(Query),
    /// Show a property
    #[command(subcommand)]
    Get(Get),
    /// Change a property
    #[command(subcommand)]
    Set(Set),
    /// Print the co-kernel's log
    Kmsg {
        /// Go on printing until the instance is destroyed
        #[arg(short, long)]
        follow: bool,
    },
    /// Let readers of the log start from here
    #[command(name = "clear_kmsg")]
    ClearKmsg,
    /// Write memory and log to an ELF core file
    Dump {
        /// The file
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum Resource {
    /// CPUs, for example 2-3, or all
    Cpu { list: String },
    /// Memory, for example 512M@0, or all
    Mem { spec: String },
}

#[derive(Subcommand)]
enum Query {
    /// CPUs
    Cpu,
    /// Memory
    Mem,
    /// Frames, processes, threads, slots, interrupts
    Usage,
}

#[derive(Subcommand)]
enum Get {
    /// INACTIVE, BOOTING, RUNNING, SHUTDOWN, PANIC or HUNGUP
    Status,
    /// Which Linux CPU serves which co-kernel CPU
    #[command(name = "ikc_map")]
    IkcMap,
    /// Build id of the loaded image
    Buildid,
}

#[derive(Subcommand)]
enum Set {
    /// Which Linux CPU serves which co-kernel CPU, for example 2:0+3:1
    #[command(name = "ikc_map")]
    IkcMap { map: String },
}

fn main() -> ExitCode {
    run_tool("ihkosctl", run)
}

fn run(command: Command) -> Result {
    let os = Mcos::open(&command.os)?;
    let json = command.json;
    match command.verb {
        Verb::Assign(Resource::Cpu { list }) => instance::assign_cpus(&os, &list),
        Verb::Assign(Resource::Mem { spec }) => instance::assign_memory(&os, &spec),
        Verb::Release(Resource::Cpu { list }) => release_cpus(&os, &list),
        Verb::Release(Resource::Mem { spec }) => release_memory(&os, &spec),
        Verb::Load { image } => instance::load(&os, &image::read(&image)?),
        Verb::Kargs { arguments } => instance::set_kargs(&os, &arguments),
        Verb::Boot => instance::boot(&os),
        Verb::Shutdown { force } => instance::shutdown(&os, force),
        Verb::Query(Query::Cpu) => print_cpus(answer("query cpu", os.cpus())?, json),
        Verb::Query(Query::Mem) => print_memory(answer("query mem", os.memory())?, json),
        Verb::Query(Query::Usage) => print_usage(&os, json),
        Verb::Get(Get::Status) => print_status(&os, json),
        Verb::Get(Get::IkcMap) => print_ikc_map(&os, json),
        Verb::Get(Get::Buildid) => print_build_id(&os, json),
        Verb::Set(Set::IkcMap { map }) => set_ikc_map(&os, &map),
        Verb::Kmsg { follow } => kmsg::print(&os, follow),
        Verb::ClearKmsg => answer("clear_kmsg", os.clear_kmsg()),
        Verb::Dump { file } => dump::write(&os, &file),
    }
}

/// The answer of a call that can only fail for general reasons.
fn answer<T>(what: &str, result: Call<T>) -> Result<T> {
    result.map_err(|errno| Failure::refused(what, reason(Action::Other, errno)))
}

fn release_cpus(os: &Mcos, text: &str) -> Result {
    let what = format!("release cpu {text}");
    let wanted = if text == "all" {
        None
    } else {
        Some(parse_cpus(&what, text)?)
    };
    let assigned = answer(&what, os.cpus())?;
    let cpus = wanted.unwrap_or(assigned);
    if let Some(cpu) = list::numbers(&list::difference(&cpus, &assigned)).first() {
        return Err(Failure::refused(
            what,
            format_args!("CPU {cpu} is not assigned to this instance"),
        ));
    }
    if list::is_empty(&cpus) {
        return Ok(());
    }
    let done = os.unassign_cpus(&cpus);
    done.map_err(|errno| Failure::refused(what, reason(Action::Unassign, errno)))
}

fn release_memory(os: &Mcos, text: &str) -> Result {
    let what = format!("release mem {text}");
    let wanted = if text == "all" {
        None
    } else {
        Some(parse_memory(&what, text)?)
    };
    let assigned = answer(&what, os.memory())?;
    let spec = wanted.unwrap_or(assigned);
    let too_much = memory::missing(&spec, &assigned);
    if !memory::is_empty(&too_much) {
        let text = memory::print(&too_much);
        return Err(Failure::refused(
            what,
            format_args!("{text} is not assigned to this instance"),
        ));
    }
    if memory::is_empty(&spec) {
        return Ok(());
    }
    let done = os.unassign_memory(&spec);
    done.map_err(|errno| Failure::refused(what, reason(Action::Unassign, errno)))
}

/// The co-kernel's part of a node's memory.
#[derive(serde::Serialize)]
struct Node {
    node: usize,
    bytes_total: u64,
    bytes_free: u64,
    /// In aligned blocks of 2 MiB that are wholly free.
    bytes_free_large: u64,
}

/// The nodes where the co-kernel has memory.
fn nodes_of(usage: &Usage) -> Vec<Node> {
    let there = usage.nodes.iter().enumerate();
    there
        .filter(|(_, counters)| counters.frames_total != 0)
        .map(|(node, counters)| Node {
            node,
            bytes_total: counters.frames_total * PAGE_BYTES,
            bytes_free: counters.frames_free * PAGE_BYTES,
            bytes_free_large: counters.blocks_free * LARGE_PAGE_BYTES,
        })
        .collect()
}

fn print_usage(os: &Mcos, json: bool) -> Result {
    #[derive(serde::Serialize)]
    struct Answer<'a> {
        frames_total: u64,
        frames_free: u64,
        frames_pinned: u64,
        processes: u64,
        threads: u64,
        slots: u64,
        interrupts: &'a [u64],
        nodes: Vec<Node>,
        frames_set_aside: u64,
    }
    let usage = answer("query usage", os.usage())?;
    let cpus = usize::try_from(usage.cpu_count)
        .unwrap_or(usize::MAX)
        .min(usage.interrupts.len());
    let interrupts = usage.interrupts.get(..cpus).unwrap_or_default();
    let nodes = nodes_of(&usage);
    if json {
        return say_json(&Answer {
            frames_total: usage.frames_total,
            frames_free: usage.frames_free,
            frames_pinned: usage.frames_pinned,
            processes: usage.processes,
            threads: usage.threads,
            slots: usage.slots,
            interrupts,
            nodes,
            frames_set_aside: usage.frames_set_aside,
        });
    }
    let rows = [
        ("frames_total", usage.frames_total),
        ("frames_free", usage.frames_free),
        ("frames_pinned", usage.frames_pinned),
        ("processes", usage.processes),
        ("threads", usage.threads),
        ("slots", usage.slots),
        ("frames_set_aside", usage.frames_set_aside),
    ];
    let mut text: String = rows
        .iter()
        .map(|(name, value)| format!("{name:16} {value}\n"))
        .collect();
    let counts: Vec<_> = interrupts.iter().map(u64::to_string).collect();
    text += &format!("{:16} {}\n", "interrupts", counts.join(" "));
    for node in nodes {
        text += &format!(
            "{:16} {} bytes, {} free, {} of these in large blocks\n",
            format!("node {}", node.node),
            node.bytes_total,
            node.bytes_free,
            node.bytes_free_large
        );
    }
    say(text)
}

fn print_status(os: &Mcos, json: bool) -> Result {
    let word = status::word(answer("get status", os.status())?);
    if json {
        return say_json(&serde_json::json!({ "status": word }));
    }
    say(format_args!("{word}\n"))
}

fn print_ikc_map(os: &Mcos, json: bool) -> Result {
    let map = answer("get ikc_map", os.ikc_map())?;
    let assigned = answer("get ikc_map", os.cpus())?;
    if json {
        let pairs: Vec<_> = ikc_map::pairs(&map, &assigned)
            .into_iter()
            .map(|(cpu, linux_cpu)| serde_json::json!({ "cpu": cpu, "linux_cpu": linux_cpu }))
            .collect();
        return say_json(&serde_json::json!({ "ikc_map": pairs }));
    }
    say(format_args!("{}\n", ikc_map::print(&map, &assigned)))
}

fn print_build_id(os: &Mcos, json: bool) -> Result {
    let id = os
        .build_id()
        .map_err(|errno| Failure::refused("get buildid", reason(Action::Image, errno)))?;
    if json {
        return say_json(&serde_json::json!({ "buildid": id }));
    }
    say(format_args!("{id}\n"))
}

fn set_ikc_map(os: &Mcos, text: &str) -> Result {
    let what = format!("set ikc_map {text}");
    let assigned = answer(&what, os.cpus())?;
    let map = ikc_map::parse(text, &assigned).map_err(|reason| Failure::usage(&what, reason))?;
    answer(&what, os.set_ikc_map(&map))
}
