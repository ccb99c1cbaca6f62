// SPDX-License-Identifier: GPL-2.0
//! Progress on stderr: each step's name and seconds, what ran last while it runs, and a table at the end.

use anyhow::{bail, Context, Result};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::paths;

static TIMES: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());

/// Runs `work` as a named step: says so at its start, its seconds at its end, and keeps the time for [`time_table`].
///
/// # Errors
/// Those of `work`.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("[{name}] …");
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    let verdict = if result.is_ok() {
        "done in"
    } else {
        "failed after"
    };
    eprintln!("[{name}] {verdict} {:.1} s", took.as_secs_f64());
    if let Ok(mut times) = TIMES.lock() {
        times.push((name.to_string(), took));
    }
    result
}

/// Prints the time of each step so far on stderr.
pub fn time_table() {
    let Ok(times) = TIMES.lock() else { return };
    eprintln!("  seconds  step");
    for (name, took) in times.iter() {
        eprintln!("{:>9.1}  {name}", took.as_secs_f64());
    }
}

/// One warning line on stderr.
pub fn warn(text: &str) {
    eprintln!("xtask: warning: {text}");
}

/// Runs a build command as a step: its output goes to a log, its latest line to the terminal.
///
/// # Errors
/// It could not be started or failed; the last lines are shown and the message names the log.
pub fn logged(name: &str, command: &mut Command) -> Result<()> {
    step(name, || run_logged(name, command))
}

/// As [`logged`], without announcing a step: for what takes a moment.
///
/// # Errors
/// As [`logged`].
pub fn run_logged(name: &str, command: &mut Command) -> Result<()> {
    let path = log_path(name)?;
    let log = File::create(&path).with_context(|| path.display().to_string())?;
    let (reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("{}", command.get_program().display()))?;
    // The Command owns the pipe's writing ends; while they are open the reader sees no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let tail = follow(reader, log)?;
    let status = child.wait()?;
    if !status.success() {
        for line in tail {
            eprintln!("  | {line}");
        }
        bail!("{name}: {status}: see {}", path.display());
    }
    Ok(())
}

fn log_path(name: &str) -> Result<PathBuf> {
    let folder = paths::logs();
    fs::create_dir_all(&folder)?;
    Ok(folder.join(format!("{}.log", name.replace(['/', ' '], "-"))))
}

/// Copies all output to the log and returns its last lines.
fn follow(reader: impl std::io::Read, mut log: File) -> Result<Vec<String>> {
    const TAIL_LINES: usize = 25;
    let terminal = std::io::stderr().is_terminal();
    let mut tail = Vec::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        log.write_all(&line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        if terminal {
            let shown: String = text.chars().take(100).collect();
            eprint!("\r\x1b[K  {shown}");
        }
        if tail.len() == TAIL_LINES {
            tail.remove(0);
        }
        tail.push(text);
        line.clear();
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(tail)
}
