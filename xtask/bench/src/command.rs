// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask bench`: the figures, with ratios, spread and control rows.

use anyhow::{ensure, Context, Result};
use clap::{Args, Parser};
use std::fs;
use std::path::{Path, PathBuf};

use crate::experiment::Y;
use crate::figure::Figure;
use crate::{cache, experiment, instructions, plot, report, rows, run};
use xtask::vm::options::KernelOption;
use xtask::{paths, ui};

/// Measures.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Cli {
    Bench(Bench),
}

/// Parses the command line, measures and returns the exit status.
#[must_use]
pub fn main() -> i32 {
    xtask::commands::answer(|Cli::Bench(bench)| bench.run())
}

/// Measure: native Linux and the co-kernel within one boot
#[derive(Debug, Args)]
struct Bench {
    /// Only rows whose name contains one of these (control rows come always); or experiments, figures over an axis: noise, ways, scaling, tasks
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many boots to take medians over [default: 5; of an experiment: 1]
    #[arg(long, value_name = "N")]
    boots: Option<u32>,
    /// Count instructions instead of measuring time (rows: in one boot): a loaded host does not change them
    #[arg(long, conflicts_with = "json")]
    instructions: bool,
    /// Model the caches of the program's core in one boot: lines that a call replaces
    #[arg(long, conflicts_with_all = ["names", "boots", "instructions"])]
    cache: bool,
    /// With --instructions: write to target/bench/profile-N which code they are, as lines VCPU ADDRESS COUNT
    #[arg(long, requires = "instructions")]
    profile: bool,
    #[command(flatten)]
    kernel: KernelOption,
}

impl Bench {
    /// Status 1 if a control row moved; a missed target is no failure.
    fn run(self) -> Result<i32> {
        self.kernel.make_default();
        ensure!(self.boots != Some(0), "--boots 0: nothing to measure");
        if self.cache {
            return self.show(cache::measure().map(|figure| vec![figure]));
        }
        let experiments = crate::select(&self.names)?;
        if !experiments.is_empty() {
            ensure!(!self.profile, "--profile: of rows only");
            let y = if self.instructions {
                Y::Instructions
            } else {
                Y::Printed
            };
            let boots = self.boots.unwrap_or(1);
            let figures = experiments
                .iter()
                .map(|it| experiment::perform(it, boots, y));
            return self.show(figures.collect());
        }
        let rows = rows::select(&self.names)?;
        if self.instructions {
            ensure!(
                self.boots.is_none(),
                "--boots: rows are counted in one boot"
            );
            print!(
                "{}",
                instructions::table(&instructions::count(&rows, self.profile)?)
            );
            return Ok(0);
        }
        let samples = match run::measure(&rows, self.boots.unwrap_or(5)) {
            Ok(samples) => samples,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                return Ok(1);
            }
        };
        let lines = report::lines(&rows, &samples);
        print!("{}", report::table(&lines));
        self.write_files(&lines)?;
        ui::time_table();
        for line in lines.iter().filter(|line| line.is_void()) {
            eprintln!(
                "xtask: bench {}: control row moved: ratio {:.3}",
                line.row.name, line.ratio[0]
            );
        }
        Ok(i32::from(lines.iter().any(report::Line::is_void)))
    }

    /// The tables of figures, and their files in `target/bench`. Status 1 if the control row moved, or if something
    /// could not be measured.
    fn show(&self, figures: Result<Vec<Figure>>) -> Result<i32> {
        let figures = match figures {
            Ok(figures) => figures,
            Err(error) => {
                eprintln!("xtask: {error:#}");
                return Ok(1);
            }
        };
        let folder = folder()?;
        for figure in &figures {
            print!("{}", figure.table());
            let name = format!("{}.json", figure.name);
            write_json(&folder.join(name), &figure.json())?;
            plot::curves(figure, &folder)?;
        }
        if let Some(file) = &self.json {
            let figures = figures.iter().map(Figure::json).collect();
            write_json(file, &serde_json::Value::Array(figures))?;
        }
        eprintln!("figures and plots: {}", folder.display());
        let moved = |figure: &&Figure| report::control_moved(figure.control);
        for figure in figures.iter().filter(moved) {
            eprintln!(
                "xtask: bench {}: control row moved: ratio {:.3}",
                figure.name, figure.control
            );
        }
        Ok(i32::from(figures.iter().any(|figure| moved(&figure))))
    }

    fn write_files(&self, lines: &[report::Line]) -> Result<()> {
        let folder = folder()?;
        let figures = folder.join("figures.json");
        for file in [Some(&figures), self.json.as_ref()].into_iter().flatten() {
            write_json(file, &report::json(lines))?;
        }
        plot::ratios(lines, &folder)?;
        eprintln!("figures and plots: {}", folder.display());
        Ok(())
    }
}

/// Where all that is measured goes.
fn folder() -> Result<PathBuf> {
    let folder = paths::target().join("bench");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn write_json(file: &Path, value: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(file, text).with_context(|| file.display().to_string())
}
