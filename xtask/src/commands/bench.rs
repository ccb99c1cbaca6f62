// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask bench`: the figures, with ratios, spread and control rows.

use anyhow::{ensure, Context, Result};
use clap::Args;
use std::fs;
use std::path::PathBuf;

use crate::bench::{instructions, plot, report, rows, run};
use crate::{paths, ui};

/// Measure: native Linux and the co-kernel within one boot
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Only rows whose name contains one of these (control rows come always)
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many boots to take medians over
    #[arg(long, value_name = "N", default_value_t = 5)]
    boots: u32,
    /// Count instructions in one boot instead of measuring time: a loaded host does not change them
    #[arg(long, conflicts_with_all = ["json", "boots"])]
    instructions: bool,
    /// With --instructions: write to target/bench/profile-N which code they are, as lines VCPU ADDRESS COUNT
    #[arg(long, requires = "instructions")]
    profile: bool,
}

impl Bench {
    /// Status 1 if a control row moved; a missed target is no failure.
    pub(super) fn run(self) -> Result<i32> {
        ensure!(self.boots > 0, "--boots 0: nothing to measure");
        let rows = rows::select(&self.names)?;
        if self.instructions {
            print!(
                "{}",
                instructions::table(&instructions::count(&rows, self.profile)?)
            );
            return Ok(0);
        }
        let samples = match run::measure(&rows, self.boots) {
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

    fn write_files(&self, lines: &[report::Line]) -> Result<()> {
        let folder = paths::target().join("bench");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let text = serde_json::to_string_pretty(&report::json(lines))? + "\n";
        for file in [Some(&folder.join("figures.json")), self.json.as_ref()]
            .into_iter()
            .flatten()
        {
            fs::write(file, &text).with_context(|| file.display().to_string())?;
        }
        plot::ratios(lines, &folder)?;
        eprintln!("figures and plots: {}", folder.display());
        Ok(())
    }
}
