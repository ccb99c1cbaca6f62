// SPDX-License-Identifier: GPL-2.0
//! One command after another on the same machine, each as alone as process 1 can make it.

use crate::{logs, ports, run, traces};
use anyhow::{Context, Result};
use guest_init::{Report, Turn};
use std::io::{BufRead, BufReader};

/// Runs what the host asks for, and says through `report` that a command has ended and that the machine is as before,
/// until the host asks for no more.
///
/// # Errors
/// The host cannot be heard or told, or a command could not be run for a reason that is not its own.
pub(crate) fn serve(mut report: impl FnMut(&Report) -> Result<()>) -> Result<()> {
    let host = BufReader::new(ports::open_for_reading("stdin")?);
    for line in host.split(b'\n') {
        let turn: Turn = serde_json::from_slice(&line.context("stdin")?).context("turn")?;
        let before = traces::now();
        let end = run::piped(&turn.argv, false)?;
        report(&Report::Ended {
            status: end.status,
            stdout: end.written[0],
            stderr: end.written[1],
        })?;
        logs::send_cokernels();
        let left = traces::remove(&before, &turn.after);
        logs::send_new();
        report(&Report::Restored { left })?;
    }
    Ok(())
}
