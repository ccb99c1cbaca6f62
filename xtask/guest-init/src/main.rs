// SPDX-License-Identifier: GPL-2.0
//! Process 1 of the test guest: sets the scene, runs the job's command, reports its status, powers off.

#[allow(unsafe_code, reason = "pre_exec, to give the shell its terminal")]
mod console;
mod logs;
mod ports;
mod run;
mod scene;
mod session;
mod traces;

use anyhow::{Context, Result};
use guest_init::{Command, Job, Report, JOB_PATH};
use std::fs::File;
use std::io::Write;

fn main() {
    let mut status = Status::default();
    let report = perform(&mut status).unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
    logs::send();
    logs::send_cokernels();
    if let Err(error) = status.send(&report) {
        scene::console_line(&format!("guest-init: cannot report {report:?}: {error:#}"));
    }
    scene::power_off();
}

fn perform(status: &mut Status) -> Result<Report> {
    scene::prepare()?;
    status.send(&Report::Began)?;
    let job = std::fs::read(JOB_PATH).context(JOB_PATH)?;
    let job: Job = serde_json::from_slice(&job).context(JOB_PATH)?;
    run::helper(&job.before)?;
    let status = match job.command {
        Command::Piped { argv, stdin } => run::piped(&argv, stdin)?.status,
        Command::Session => {
            session::serve(|report| status.send(report))?;
            0
        }
        Command::Shell {
            rows,
            columns,
            term,
        } => console::shell(rows, columns, &term)?,
    };
    Ok(Report::Exited(status))
}

/// The status port, opened by the first report.
#[derive(Default)]
struct Status(Option<File>);

impl Status {
    fn send(&mut self, report: &Report) -> Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        let port = match self.0.take() {
            Some(port) => port,
            None => ports::open_for_writing("status")?,
        };
        self.0.insert(port).write_all(&line)?;
        Ok(())
    }
}
