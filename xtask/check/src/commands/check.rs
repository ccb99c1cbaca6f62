// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask check`: what can be found wrong without running anything.

use anyhow::{ensure, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::assumptions;
use crate::floors;
use crate::route;
use crate::syscalls;
use crate::unsafe_list;
use crate::walk_throughs;
use xtask::build::modules;
use xtask::paths;
use xtask::setup::kernel;
use xtask::ui;
use xtask::vm::options::KernelOption;

/// Check format, lints, documentation, licence headers, spin loops and what imports what
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Write what is generated (docs/syscalls.md, docs/unsafe.md) instead of comparing it
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    kernel: KernelOption,
}

/// A check and its name.
type Named<'a> = (&'static str, &'a dyn Fn() -> Result<()>);

impl Check {
    pub(super) fn run(self) -> Result<i32> {
        let page = || syscalls::check_page(self.update);
        let imports = || floors::check(paths::repository());
        let unsafe_code = || unsafe_list::check(self.update);
        let mut failed = failures(&[
            ("format", &format),
            ("licence headers", &headers),
            ("spin loops", &spin_loops),
            ("unsafe list", &unsafe_code),
            ("floors", &imports),
            ("route of a delegated call", &route::check),
            ("walk-throughs", &walk_throughs::check),
            ("system call page", &page),
            ("clippy", &clippy),
            ("documentation", &documentation),
        ]);
        // A kernel takes minutes to prepare, so what needs none comes first.
        let of_kernel = self.failures_with_kernel();
        failed.extend(of_kernel.iter().flatten());
        ui::time_table();
        if !failed.is_empty() {
            eprintln!("xtask: check: {}", failed.join(", "));
        }
        of_kernel?;
        Ok(i32::from(!failed.is_empty()))
    }

    /// What is held against one kernel.
    fn failures_with_kernel(&self) -> Result<Vec<&'static str>> {
        let kernel = kernel::stock(&self.kernel.wanted())?;
        kernel.prepared()?;
        let table = || syscalls::check_numbers(&kernel);
        let assumed = || assumptions::check(&kernel);
        let modules = || modules::lint(&self.kernel.wanted());
        Ok(failures(&[
            ("system call table", &table),
            ("assumptions about Linux", &assumed),
            ("clippy of the modules", &modules),
        ]))
    }
}

/// Runs all of `checks`; the names of those that failed.
fn failures(checks: &[Named<'_>]) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, check) in checks {
        if let Err(error) = ui::step(name, check) {
            eprintln!("{error:#}");
            failed.push(*name);
        }
    }
    failed
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::repository()).args(arguments);
    cargo
}

/// Cargo's packages, and the modules' sources, which cargo does not know.
fn format() -> Result<()> {
    ui::run_logged("rustfmt", &mut cargo(&["fmt", "--all", "--check"]))?;
    let sources = sources(&["ihk-linux", "mcctrl"])?
        .into_iter()
        .filter(|path| !path.starts_with("ihk-linux/tools"));
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.current_dir(paths::repository()).args([
        "--check",
        "--edition",
        "2021",
        "--config",
        "skip_children=true",
    ]);
    let sources: Vec<_> = sources.collect();
    if sources.is_empty() {
        return Ok(());
    }
    ui::run_logged("rustfmt of the modules", rustfmt.args(sources))
}

fn clippy() -> Result<()> {
    ui::run_logged(
        "clippy",
        &mut cargo(&["clippy", "--all-targets", "--", "-Dwarnings"]),
    )?;
    // Neither has tests of its own, and their panic strategy is that of the release profile.
    ui::run_logged(
        "clippy of co-kernel and plugin",
        &mut cargo(&[
            "clippy",
            "--release",
            "--package",
            "cokernel",
            "--package",
            "instruction-counter",
            "--",
            "-Dwarnings",
        ]),
    )
}

fn documentation() -> Result<()> {
    let mut doc = cargo(&["doc", "--no-deps", "--document-private-items"]);
    ui::run_logged("documentation", doc.env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn headers() -> Result<()> {
    let all = sources(&[
        "cokernel",
        "ihk-ikc",
        "ihk-linux",
        "libmckernel",
        "mcctrl",
        "mcexec",
        "tests",
        "xtask",
    ])?;
    let bare: Vec<String> = all
        .iter()
        .filter(|path| !read(path).starts_with("// SPDX-License-Identifier: GPL-2.0\n"))
        .map(|path| path.display().to_string())
        .collect();
    ensure!(
        bare.is_empty(),
        "no SPDX line at the top of: {}",
        bare.join(" ")
    );
    Ok(())
}

/// A loop that waits for another CPU must execute PAUSE: see [`waits_without_pause`].
fn spin_loops() -> Result<()> {
    let mut found = Vec::new();
    for path in sources(&[
        "cokernel",
        "ihk-ikc",
        "ihk-linux",
        "libmckernel",
        "mcctrl",
        "mcexec",
    ])? {
        for line in waits_without_pause(&read(&path)) {
            found.push(format!("{}:{line}", path.display()));
        }
    }
    ensure!(
        found.is_empty(),
        "spin loop without PAUSE: {}",
        found.join(" ")
    );
    Ok(())
}

/// Line numbers of `while` loops whose condition reads an atomic and whose body does nothing but go round.
fn waits_without_pause(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let reads = [".load(", "compare_exchange", ".swap(", "read_volatile"]
            .iter()
            .any(|word| code.contains(word));
        if !code.starts_with("while ") || !reads {
            continue;
        }
        let empty =
            code.ends_with("{}") || lines.get(index + 1).is_some_and(|next| next.trim() == "}");
        if empty {
            found.push(index + 1);
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(paths::repository().join(path)).unwrap_or_default()
}

/// All Rust files below `folders`, relative to the repository.
fn sources(folders: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(paths::repository().join(&folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::waits_without_pause;

    #[test]
    fn empty_waiting_loops_are_found() {
        let bad = "while flag.load(Acquire) == 0 {}\nwhile flag.swap(1, Acquire) == 1 {\n}\n";
        assert_eq!(waits_without_pause(bad), [1, 2]);
        let good =
            "while flag.load(Acquire) == 0 {\n    spin_loop();\n}\nwhile let Some(x) = next() {}\n";
        assert!(waits_without_pause(good).is_empty());
    }
}
