// SPDX-License-Identifier: GPL-2.0
//! Process 1 of the test guest: sets the scene, runs the job's command, reports its status, powers off.

#[allow(unsafe_code, reason = "pre_exec, to give the shell its terminal")]
mod console;
mod logs;
mod ports;
mod run;
mod scene;

use anyhow::{Context, Result};
use guest_init::{Command, Job, Report, JOB_PATH};

fn main() {
    let report = perform().unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
    logs::send();
    if let Err(error) = send(&report) {
        scene::console_line(&format!("guest-init: cannot report {report:?}: {error:#}"));
    }
    scene::power_off();
}

fn perform() -> Result<Report> {
    scene::prepare()?;
    let job = std::fs::read(JOB_PATH).context(JOB_PATH)?;
    let job: Job = serde_json::from_slice(&job).context(JOB_PATH)?;
    run::before(&job.before)?;
    let status = match job.command {
        Command::Piped { argv, stdin } => run::piped(&argv, stdin)?,
        Command::Shell {
            rows,
            columns,
            term,
        } => console::shell(rows, columns, &term)?,
    };
    Ok(Report::Exited(status))
}

fn send(report: &Report) -> Result<()> {
    use std::io::Write;
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    ports::open_for_writing("status")?.write_all(&line)?;
    Ok(())
}
