// SPDX-License-Identifier: GPL-2.0
//! The tools of boot tests: start a machine, run a command in it, look at what came out.
//!
//! A failure of the rig itself (status 125 of `cargo xtask vm`) panics with its message; it is never a passed test.

mod turns;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

pub use turns::attempt_in_turn;
use xtask::vm::Machine;
pub use xtask::vm::{Outcome, VmOptions};

/// Where the guest programs of the themes lie in the guest.
pub const PROGRAMS: &str = "/usr/local/lib/mckernel-tests";

/// Words that must not appear in a new line of Linux's messages.
const UNWANTED: [&str; 9] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "Call Trace",
    "stall",
    "hung task",
    "lockup",
    "Bad page",
    "Bad rss",
];

/// Boots a machine and runs `argv` in it with an empty stdin.
#[track_caller]
#[must_use]
pub fn run(options: VmOptions, argv: &[&str]) -> Outcome {
    run_with_stdin(options, argv, b"")
}

/// As [`run`], `stdin` being fed to the command.
#[track_caller]
#[must_use]
pub fn run_with_stdin(options: VmOptions, argv: &[&str], stdin: &[u8]) -> Outcome {
    attempt(options, argv, stdin).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`run_with_stdin`], for whoever has to remember a failure.
///
/// # Errors
/// The machine did not get as far as the command's end.
pub fn attempt(mut options: VmOptions, argv: &[&str], stdin: &[u8]) -> Result<Outcome, String> {
    build_once();
    options.no_build = true;
    let outcome = Machine::new(options).and_then(|machine| machine.run(argv, stdin));
    outcome.map_err(|error| format!("{error:#}"))
}

/// One build per test process: whoever comes first does it, the others wait.
fn build_once() {
    static BUILT: OnceLock<()> = OnceLock::new();
    let built_before = std::env::var_os("MCKERNEL_BUILT").is_some();
    BUILT.get_or_init(|| {
        if !built_before {
            Machine::new(VmOptions {
                no_build: false,
                ..VmOptions::default()
            })
            .expect("building");
        }
    });
}

/// A machine whose co-kernel the command starts by itself.
#[must_use]
pub fn linux_only() -> VmOptions {
    VmOptions {
        no_lwk: true,
        ..VmOptions::default()
    }
}

/// The same machine with the scripts of all themes in `scripts`, and their tables beside it, in the folder where commands
/// start.
///
/// # Panics
/// The folders cannot be read.
#[must_use]
pub fn with_scripts(options: VmOptions) -> VmOptions {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let themes = std::fs::read_dir(here).expect("themes").flatten();
    let mut files: Vec<PathBuf> = themes
        .flat_map(|theme| std::fs::read_dir(theme.path()).into_iter().flatten())
        .filter_map(|file| Some(file.ok()?.path()))
        .collect();
    files.sort();
    let copy = files.iter().filter_map(|file| {
        let place = match file.extension()?.to_str()? {
            "py" | "sh" => "/root/scripts",
            "txt" => "/root",
            _ => return None,
        };
        let name = file.file_name()?.to_string_lossy();
        Some(format!("{}:{place}/{name}", file.display()).into())
    });
    VmOptions {
        copy: copy.collect(),
        ..options
    }
}

/// Runs `argv` in its turn on the shared machine without a co-kernel.
#[track_caller]
#[must_use]
pub fn in_turn(argv: &[&str]) -> Outcome {
    attempt_in_turn(argv, 600).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a bash script on the Linux side of the shared machine without a co-kernel.
#[track_caller]
#[must_use]
pub fn linux(script: &str) -> Outcome {
    in_turn(&["bash", "-c", script])
}

/// Runs a bash script on the Linux side of the default machine with its co-kernel booted.
#[track_caller]
#[must_use]
pub fn cokernel(script: &str) -> Outcome {
    run(VmOptions::default(), &["bash", "-c", script])
}

/// Looking at an [`Outcome`].
pub trait Examine {
    /// stdout as text.
    fn out(&self) -> String;
    /// stderr as text.
    fn err(&self) -> String;
    /// The kernel messages as text.
    fn kmsg(&self) -> String;
    /// The ends of the logs, and where the processors of a machine were that had to be stopped.
    fn last_words(&self) -> String;
    /// Panics with all that is known unless the command ended with 0 and Linux said nothing it should not.
    #[track_caller]
    fn succeeded(&self) -> &Self;
}

impl Examine for Outcome {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    fn kmsg(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.kmsg).unwrap_or_default()).into_owned()
    }

    fn last_words(&self) -> String {
        let registers = self.console.with_file_name("registers.log");
        [&self.console, &self.kmsg, &registers]
            .map(|log| last_lines(log))
            .join("\n")
    }

    fn succeeded(&self) -> &Self {
        let (out, err) = (self.out(), self.err());
        assert_eq!(
            self.status,
            0,
            "status; see {}\nstdout:\n{out}\nstderr:\n{err}\n{}",
            self.kmsg.display(),
            self.last_words()
        );
        let unwanted = unwanted_lines(&self.kmsg());
        assert!(
            unwanted.is_empty(),
            "kernel messages, see {}:\n{}",
            self.kmsg.display(),
            unwanted.join("\n")
        );
        self
    }
}

/// At most fifteen; of registers only the instruction pointers, one line for each processor.
fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let registers = log.ends_with("registers.log");
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !registers || line.starts_with("RIP=") || line.starts_with("EIP="))
        .collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// The lines of kernel messages that no healthy run has.
#[must_use]
pub fn unwanted_lines(kmsg: &str) -> Vec<String> {
    kmsg.lines()
        .filter(|line| UNWANTED.iter().any(|word| line.contains(word)))
        .map(str::to_string)
        .collect()
}

/// A `cargo xtask …` command, for what only its command line shows.
#[must_use]
pub fn xtask_command(arguments: &[&str]) -> Command {
    let mut command = match std::env::var_os("MCKERNEL_XTASK") {
        Some(program) => Command::new(program),
        None => {
            let mut cargo = Command::new("cargo");
            cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
            cargo
        }
    };
    command.args(arguments).current_dir(repository());
    command
}

/// The root of the clone.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use super::unwanted_lines;

    #[test]
    fn unwanted_words_are_found_and_healthy_lines_are_not() {
        let kmsg = "[ 1.0] ihk: loading out-of-tree module taints kernel.\n[ 2.0] BUG: unable to handle\n[ 3.0]  Call Trace:\n";
        assert_eq!(unwanted_lines(kmsg).len(), 2);
    }
}
