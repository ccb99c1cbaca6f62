// SPDX-License-Identifier: GPL-2.0
//! Builds the parts that travel into the guest, each into its place under `target/guest`.

pub mod cokernel;
pub mod modules;
pub mod output;
mod sync;
pub mod test_programs;
pub mod tools;

use anyhow::{bail, Result};
use clap::ValueEnum;
use std::fs;
use std::thread;

use crate::lock;
use crate::paths;
use crate::setup::catalogue::Wanted;

/// The parts that can be built on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The co-kernel image.
    Cokernel,
    /// ihk.ko and mcctrl.ko.
    Modules,
    /// Commands of the node, process 1 of the guest, guest programs of the tests.
    Tools,
    /// Those without the guest programs of the tests.
    #[value(skip)]
    Commands,
}

/// Builds `parts` for the kernel `wanted`, and makes what is missing for that; an unchanged part costs a moment. What
/// does not depend on each other goes on at the same time, the modules first: they wait longest for what they need.
///
/// # Errors
/// The first part that does not build; its log is named.
pub fn build(wanted: &Wanted, parts: &[Part]) -> Result<()> {
    fs::create_dir_all(paths::target())?;
    let _lock = lock::take(
        &paths::target().join("xtask.lock"),
        "another run is building in this clone",
    )?;
    let works: Vec<Work<'_>> = parts
        .iter()
        .map(|part| -> Work<'_> {
            match part {
                Part::Cokernel => Box::new(|| later(cokernel::build)),
                Part::Modules => Box::new(|| modules::build(wanted)),
                Part::Tools => Box::new(|| {
                    later(tools::build)?;
                    later(test_programs::build)
                }),
                Part::Commands => Box::new(|| later(tools::build)),
            }
        })
        .collect();
    at_once(works)
}

/// Something to do.
pub(crate) type Work<'a> = Box<dyn FnOnce() -> Result<()> + Send + 'a>;

/// Does all of it at the same time.
///
/// # Errors
/// The first error, in the order of `works`; all have ended by then.
pub(crate) fn at_once(works: Vec<Work<'_>>) -> Result<()> {
    let results: Vec<Result<()>> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for work in works {
            let lock = lock::held();
            threads.push(scope.spawn(|| lock::under(lock, work)));
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread died")))
            .collect()
    });
    results.into_iter().collect()
}

/// Does `work`, and what it starts, behind others that want the same CPUs: for what nobody waits for yet.
pub(crate) fn later<T>(work: impl FnOnce() -> Result<T> + Send) -> Result<T>
where
    T: Send,
{
    const BEHIND: i32 = 10;
    // A thread of its own, because the priority stays with it.
    thread::scope(|scope| {
        let lock = lock::held();
        let thread = scope.spawn(|| {
            let _ = rustix::process::nice(BEHIND);
            lock::under(lock, work)
        });
        thread.join().unwrap_or_else(|_| bail!("a thread died"))
    })
}

/// Builds everything.
///
/// # Errors
/// As [`build`].
pub fn build_all(wanted: &Wanted) -> Result<()> {
    build(wanted, Part::value_variants())
}
