// SPDX-License-Identifier: GPL-2.0
//! Progress on stderr: each step's name, how long it took last time, its seconds, what ran last while it runs, and a
//! table at the end with CPU seconds, too, that marks the steps which everything waited for.

use anyhow::{bail, Context, Result};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::child::Reaped;
use crate::lock;
use crate::paths;

/// A step that is over.
#[derive(Debug, Clone)]
struct Step {
    name: String,
    began: Instant,
    ended: Instant,
    /// CPU time of the build commands that it ran.
    cpu: Duration,
}

thread_local! {
    /// CPU time of the build commands that this thread has run.
    static CPU: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

static STEPS: Mutex<Vec<Step>> = Mutex::new(Vec::new());

/// Runs `work` as a named step: says so at its start, its seconds at its end, and keeps the time for [`time_table`].
///
/// # Errors
/// Those of `work`.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match last_times().get(name) {
        Some(seconds) => say(&format!("[{name}] … ({seconds:.0} s last time)")),
        None => say(&format!("[{name}] …")),
    }
    let (began, cpu_before) = (Instant::now(), CPU.get());
    let result = work();
    let ended = Instant::now();
    let verdict = if result.is_ok() {
        "done in"
    } else {
        "failed after"
    };
    say(&format!(
        "[{name}] {verdict} {:.1} s",
        (ended - began).as_secs_f64()
    ));
    if let Ok(mut steps) = STEPS.lock() {
        steps.push(Step {
            name: name.to_string(),
            began,
            ended,
            cpu: CPU.get() - cpu_before,
        });
    }
    result
}

/// Prints the time of each step so far on stderr; `*` marks those that followed one upon the other until the end.
pub fn time_table() {
    let Ok(steps) = STEPS.lock() else { return };
    let critical = critical(&steps);
    let mut text = String::from("  seconds   CPU s  step\n");
    for (index, step) in steps.iter().enumerate() {
        let mark = if critical.contains(&index) { '*' } else { ' ' };
        let seconds = (step.ended - step.began).as_secs_f64();
        let cpu = step.cpu.as_secs_f64();
        text += &format!("{seconds:>9.1} {cpu:>7.1} {mark}{}\n", step.name);
    }
    eprint!("{text}");
    remember(&steps);
}

/// The steps on the path that decides how long all takes: the last one, the one that ended last before it began, and
/// so on. A step within another one is none of its predecessors.
fn critical(steps: &[Step]) -> Vec<usize> {
    const SLACK: Duration = Duration::from_millis(200);
    let mut path = Vec::new();
    let mut next = (0..steps.len()).max_by_key(|&index| steps[index].ended);
    while let Some(index) = next {
        path.push(index);
        let before = |&other: &usize| {
            !path.contains(&other) && steps[other].ended <= steps[index].began + SLACK
        };
        next = (0..steps.len())
            .filter(before)
            .max_by_key(|&other| steps[other].ended);
    }
    path
}

/// Where the seconds of steps are kept for the next time.
fn times_file() -> Result<PathBuf> {
    Ok(paths::cache()?.join("times.json"))
}

fn last_times() -> BTreeMap<String, f64> {
    let text = times_file().and_then(|file| Ok(fs::read_to_string(file)?));
    text.ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn remember(steps: &[Step]) {
    let mut times = last_times();
    for step in steps {
        times.insert(step.name.clone(), (step.ended - step.began).as_secs_f64());
    }
    let write = || -> Result<()> {
        let file = times_file()?;
        let unfinished = file.with_extension(std::process::id().to_string());
        fs::write(&unfinished, serde_json::to_string(&times)?)?;
        Ok(fs::rename(unfinished, file)?)
    };
    // Only a convenience: a cache that cannot be written is somebody else's to report.
    let _ = write();
}

/// One line on stderr.
pub fn say(line: &str) {
    let clear = if std::io::stderr().is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    // One write, so that lines of steps that run at the same time stay whole.
    let _ = std::io::stderr().write_all(format!("{clear}{line}\n").as_bytes());
}

/// One warning line on stderr.
pub fn warn(text: &str) {
    say(&format!("xtask: warning: {text}"));
}

/// Runs a build command as a step: its output goes to a log, its latest line to the terminal.
///
/// # Errors
/// It could not be started or failed; the last lines are shown and the message names the log. Nothing of it runs on.
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
        .stdin(lock::stdin())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = command
        .spawn()
        .with_context(|| format!("{}", command.get_program().display()))?;
    let mut child = Reaped(child);
    // The Command owns the lock, and the pipe's writing ends: while they are open the reader sees no end.
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let tail = follow(name, reader, log)?;
    let (status, cpu) = child.wait_and_measure()?;
    CPU.set(CPU.get() + cpu);
    if !status.success() {
        let lines: Vec<String> = tail.iter().map(|line| format!("  | {line}")).collect();
        say(&lines.join("\n"));
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
fn follow(name: &str, reader: impl std::io::Read, mut log: File) -> Result<Vec<String>> {
    const TAIL_LINES: usize = 25;
    let terminal = std::io::stderr().is_terminal();
    let mut tail = Vec::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        log.write_all(&line)?;
        let text = String::from_utf8_lossy(&line).trim_end().to_string();
        if terminal {
            let shown: String = format!("[{name}] {text}").chars().take(100).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_whose_output_cannot_be_kept_does_not_run_on() {
        let name = format!("test-full-{}", std::process::id());
        let log = log_path(&name).unwrap();
        std::os::unix::fs::symlink("/dev/full", &log).unwrap();
        let begun = log.with_extension("begun");
        let mut command = Command::new("sh");
        let script = "echo $$ >\"$1\"; echo said; exec sleep 60";
        command.args(["-c", script, "sh"]).arg(&begun);
        let began = Instant::now();
        assert!(run_logged(&name, &mut command).is_err());
        assert!(began.elapsed() < Duration::from_secs(30));
        let child = fs::read_to_string(&begun).unwrap();
        assert!(!PathBuf::from(format!("/proc/{}", child.trim())).exists());
        let _ = fs::remove_file(log).and(fs::remove_file(begun));
    }

    #[test]
    fn steps_that_everything_waited_for_are_found() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let step = |name: &str, began, ended| Step {
            name: name.into(),
            began: at(began),
            ended: at(ended),
            cpu: Duration::ZERO,
        };
        let steps = [
            step("base", 0, 10),
            step("guest", 10, 25),
            step("compilers", 10, 40),
            step("kernel", 40, 100),
            step("tools", 3, 60),
            step("boot", 100, 107),
        ];
        let mut path = critical(&steps);
        path.reverse();
        assert_eq!(path, [0, 2, 3, 5]);
        assert!(critical(&[]).is_empty());
    }
}
