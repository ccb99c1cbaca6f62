// SPDX-License-Identifier: GPL-2.0
//! One machine, one command after another: what a boot costs is paid once.
//!
//! After each command the guest kills what still runs, stops the co-kernels, and says what is not as before all the
//! same. A machine on which something is not, on which a command did not end, or that went down, is given up, and the
//! next command gets a new one.

use anyhow::{bail, Result};
use guest_init::{Command, Report, Turn};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::ui;
use crate::vm::machine::{Machine, Outcome, KMSG};
use crate::vm::options::VmOptions;
use crate::vm::running::{EmulatorFailed, Running, TIMED_OUT};
use crate::vm::streams::Chunks;

/// Stops the co-kernels that a command has left, gives everything back and unloads the modules.
const AFTER: [&str; 2] = ["mcstop", "-f"];

/// How long the guest may take from a command's end until it is as before: killing what is left, and [`AFTER`].
const RESTORE_S: u64 = 120;

/// How long bytes that the guest has sent may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);

/// Commands that share machines. Dropping it ends the machine, as does the end of the thread that made the machine.
pub struct Session {
    options: VmOptions,
    machine: Option<Shared>,
}

/// A machine that waits for its next command.
struct Shared {
    running: Running,
    turns: UnixStream,
    stdout: Chunks,
    stderr: Chunks,
    /// How many commands it has run.
    count: u32,
    /// How much of the log of kernel messages belongs to them.
    kmsg_read: u64,
}

impl Session {
    /// A session on machines with these options, apart from their time limit.
    #[must_use]
    pub fn new(options: VmOptions) -> Self {
        let options = VmOptions {
            timeout: None,
            ..options
        };
        Self {
            options,
            machine: None,
        }
    }

    /// Runs `argv` with an empty stdin; [`TIMED_OUT`] is the status of one that has not ended after `limit_s` seconds.
    /// It is run once more if QEMU ends itself by a failed assertion of its own.
    ///
    /// # Errors
    /// The machine did not get as far as the command's end; the message names the console log.
    pub fn run(&mut self, argv: &[&str], limit_s: u64) -> Result<Outcome> {
        self.run_once(argv, limit_s).or_else(|error| {
            if !error.is::<EmulatorFailed>() {
                return Err(error);
            }
            ui::warn(&format!("starting it once more: {error}"));
            self.run_once(argv, limit_s)
        })
    }

    fn run_once(&mut self, argv: &[&str], limit_s: u64) -> Result<Outcome> {
        let mut machine = match self.machine.take() {
            Some(machine) => machine,
            None => Shared::start(&self.options)?,
        };
        let (outcome, left) = machine.run(argv, limit_s)?;
        if !left.is_empty() {
            let place = outcome.console.display();
            ui::warn(&format!(
                "{argv:?} left {left} changed, the next command gets a new machine: see {place}"
            ));
        } else if outcome.status != TIMED_OUT {
            self.machine = Some(machine);
        }
        Ok(outcome)
    }
}

impl Shared {
    fn start(options: &VmOptions) -> Result<Self> {
        let machine = Machine::new(options.clone())?;
        let (running, streams) =
            machine.start(&Command::Session, &["stdout", "stderr", "stdin"])?;
        let [out, err, turns] = <[UnixStream; 3]>::try_from(streams)
            .map_err(|_| anyhow::anyhow!("as many streams as names"))?;
        Ok(Self {
            running,
            turns,
            stdout: Chunks::of(out),
            stderr: Chunks::of(err),
            count: 0,
            kmsg_read: 0,
        })
    }

    /// Runs one command; what it left changed comes with the outcome.
    fn run(&mut self, argv: &[&str], limit_s: u64) -> Result<(Outcome, String)> {
        let bytes = |argv: &[&str]| argv.iter().map(|word| word.as_bytes().to_vec()).collect();
        let turn = Turn {
            argv: bytes(argv),
            after: bytes(&AFTER),
        };
        let mut line = serde_json::to_vec(&turn)?;
        line.push(b'\n');
        // One that cannot be told has gone down, which the report is about.
        let _ = self.turns.write_all(&line);
        let (status, written, left) = match self.report(limit_s)? {
            Some(Report::Ended {
                status,
                stdout,
                stderr,
            }) => (status, [stdout, stderr], self.restored(argv)?),
            None => {
                // Its streams end with it.
                self.running.kill();
                (TIMED_OUT, [u64::MAX; 2], String::new())
            }
            Some(other) => return self.unexpected(&other),
        };
        let [stdout, stderr] = written.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let outcome = Outcome {
            status,
            stdout: self.stdout.take(stdout, ARRIVAL),
            stderr: self.stderr.take(stderr, ARRIVAL),
            console: self.console().to_path_buf(),
            kmsg: self.new_messages()?,
        };
        Ok((outcome, left))
    }

    /// Waits until the machine is as before `argv`; what is not.
    fn restored(&mut self, argv: &[&str]) -> Result<String> {
        match self.report(RESTORE_S)? {
            Some(Report::Restored { left }) => Ok(left),
            None => bail!(
                "{AFTER:?} after {argv:?} has not ended after {RESTORE_S} s: see {}",
                self.console().display()
            ),
            Some(other) => self.unexpected(&other),
        }
    }

    /// The next report; `None` if there is none within `limit_s` seconds.
    fn report(&mut self, limit_s: u64) -> Result<Option<Report>> {
        self.running.deadline = Some(Instant::now() + Duration::from_secs(limit_s));
        self.running.report(limit_s)
    }

    fn unexpected<T>(&self, report: &Report) -> Result<T> {
        bail!(
            "guest: {report:?} between commands: see {}",
            self.console().display()
        )
    }

    fn console(&self) -> &Path {
        &self.running.files.console
    }

    /// A file of its own with what has been added to the log of kernel messages.
    fn new_messages(&mut self) -> Result<PathBuf> {
        let log = self.console().with_file_name(KMSG);
        let mut text = Vec::new();
        let mut file = File::open(&log)?;
        file.seek(SeekFrom::Start(self.kmsg_read))?;
        self.kmsg_read += file.read_to_end(&mut text)? as u64;
        self.count += 1;
        let own = log.with_file_name(format!("kmsg-{}.log", self.count));
        fs::write(&own, text)?;
        Ok(own)
    }
}
