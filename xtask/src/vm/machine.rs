// SPDX-License-Identifier: GPL-2.0
//! One virtual machine, one command: boot, run, power off.

use anyhow::{bail, Context, Result};
use guest_init::{Command as GuestCommand, Job, Report};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::build;
use crate::paths;
use crate::setup::{guest_tree, Environment};
use crate::vm::options::VmOptions;
use crate::vm::qemu::{self, Disks};
use crate::vm::streams::{self, Input, Link};
use crate::vm::{job, spawn};

/// The status of a run that `--timeout` ended.
pub const TIMED_OUT: u8 = 124;

/// How long the guest may take from reporting the status to being off.
const POWER_OFF_TIME: Duration = Duration::from_secs(20);

/// Name of the log of kernel messages.
const KMSG: &str = "kmsg.log";

/// How many runs keep their logs.
const KEPT_RUNS: usize = 40;

/// A machine that can be booted any number of times, each time from scratch.
#[derive(Debug, Clone)]
pub struct Machine {
    environment: Environment,
    root: PathBuf,
    options: VmOptions,
}

/// What came out of one run.
#[derive(Debug)]
pub struct Outcome {
    /// The command's status; 128+N for signal N; [`TIMED_OUT`].
    pub status: u8,
    /// All that the command wrote to stdout.
    pub stdout: Vec<u8>,
    /// All that the command wrote to stderr.
    pub stderr: Vec<u8>,
    /// The log of the serial console.
    pub console: PathBuf,
    /// The messages of Linux, then those of each co-kernel, as they were when the command had ended.
    pub kmsg: PathBuf,
}

impl Machine {
    /// A machine with these options; makes what is missing in the cache.
    ///
    /// # Errors
    /// An option makes no sense, or setting up failed.
    pub fn new(options: VmOptions) -> Result<Self> {
        options.check()?;
        let environment = Environment::prepare()?;
        if !options.no_build {
            build::build_all(&environment)?;
        }
        let root = guest_tree::image(&environment, &options.install)?;
        Ok(Self {
            environment,
            root,
            options,
        })
    }

    /// Boots, runs `argv` with `stdin` and collects what it writes.
    ///
    /// # Errors
    /// The machine did not get as far as the command's end; the message names the console log.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, argv: &[S], stdin: &[u8]) -> Result<Outcome> {
        let argv = argv
            .iter()
            .map(|word| word.as_ref().as_bytes().to_vec())
            .collect();
        let input = if stdin.is_empty() {
            Input::Empty
        } else {
            Input::From(Box::new(io::Cursor::new(stdin.to_vec())))
        };
        let (status, console, stdout, stderr) =
            self.run_streaming(argv, input, Vec::new(), Vec::new())?;
        let kmsg = console.with_file_name(KMSG);
        Ok(Outcome {
            status,
            stdout,
            stderr,
            console,
            kmsg,
        })
    }

    /// Boots and runs `argv`, its output going to the sinks as it comes; gives back the sinks.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_streaming<O, E>(
        &self,
        argv: Vec<Vec<u8>>,
        input: Input,
        stdout: O,
        stderr: E,
    ) -> Result<(u8, PathBuf, O, E)>
    where
        O: Write + Send + 'static,
        E: Write + Send + 'static,
    {
        let command = GuestCommand::Piped {
            argv,
            stdin: matches!(input, Input::From(_)),
        };
        let links = [
            Link::new("status")?,
            Link::new("stdout")?,
            Link::new("stderr")?,
            Link::new("stdin")?,
        ];
        let [status, out, err, feed] = links.each_ref().map(|link| link.ours.try_clone());
        let run = self.start(command, links.into())?;
        let out = streams::receive(out?, stdout);
        let err = streams::receive(err?, stderr);
        let _kept_open = match input {
            Input::From(source) => Some(streams::send(feed?, source)?),
            Input::Empty => None,
        };
        let outcome = run.finish(status?, self.options.timeout);
        let sinks = (out.join(), err.join());
        let (Ok(stdout), Ok(stderr)) = sinks else {
            bail!("a thread that copies output died")
        };
        let (status, console) = outcome?;
        Ok((status, console, stdout, stderr))
    }

    /// Boots with a shell on our own terminal.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn interact(&self, rows: u16, columns: u16, term: String) -> Result<u8> {
        let link = Link::new("status")?;
        let status = link.ours.try_clone()?;
        let run = self.start(
            GuestCommand::Shell {
                rows,
                columns,
                term,
            },
            vec![link],
        )?;
        Ok(run.finish(status, self.options.timeout)?.0)
    }

    fn start(&self, command: GuestCommand, links: Vec<Link>) -> Result<Run> {
        let shell = matches!(command, GuestCommand::Shell { .. });
        let folder = run_folder()?;
        let job = folder.join("job.tar");
        job::write(
            &job,
            &Job {
                before: self.options.mcreboot(),
                command,
            },
            &self.options,
        )?;
        let console = folder.join("console.log");
        let disks = Disks {
            root: &self.root,
            job: &job,
            console: &console,
            kmsg: &folder.join(KMSG),
        };
        let mut qemu = qemu::command(&self.environment, &self.options, &disks, &links, shell);
        fs::write(folder.join("qemu.cmd"), format!("{qemu:?}\n"))?;
        let errors = folder.join("qemu.log");
        qemu.stderr(File::create(&errors)?);
        if !shell {
            qemu.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let started = Instant::now();
        let child = spawn::spawn(
            &mut qemu,
            links.into_iter().map(|link| link.theirs).collect(),
        )?;
        Ok(Run {
            child,
            started,
            job,
            console,
            errors,
        })
    }
}

/// A running QEMU; dropping it kills it.
struct Run {
    child: Child,
    started: Instant,
    job: PathBuf,
    console: PathBuf,
    errors: PathBuf,
}

impl Run {
    /// Waits for the guest's report and its power-off.
    fn finish(
        mut self,
        status: impl Read + Send + 'static,
        timeout_s: Option<u64>,
    ) -> Result<(u8, PathBuf)> {
        let report = report_from(status);
        let received = match timeout_s {
            Some(limit_s) => report
                .recv_timeout(Duration::from_secs(limit_s).saturating_sub(self.started.elapsed())),
            None => report.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if received == Err(RecvTimeoutError::Timeout) {
            eprintln!(
                "xtask: timed out after {} s: see {}",
                timeout_s.unwrap_or(0),
                self.console.display()
            );
            return Ok((TIMED_OUT, self.console.clone()));
        }
        self.wait_for_power_off()?;
        match received
            .ok()
            .and_then(|line| serde_json::from_slice(&line).ok())
        {
            Some(Report::Exited(status)) => Ok((status, self.console.clone())),
            Some(Report::Failed(reason)) => {
                bail!("guest: {reason}: see {}", self.console.display())
            }
            None => bail!(
                "the guest went down before the command ended{}: see {}",
                self.last_words(),
                self.console.display()
            ),
        }
    }

    fn wait_for_power_off(&mut self) -> Result<()> {
        let deadline = Instant::now() + POWER_OFF_TIME;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                crate::ui::warn(&format!(
                    "the guest did not power off: see {}",
                    self.console.display()
                ));
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What QEMU itself complained about, or the kernel's panic line.
    fn last_words(&self) -> String {
        let qemu = fs::read_to_string(&self.errors).unwrap_or_default();
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let panic = console.lines().find(|line| line.contains("Kernel panic"));
        let line = qemu.lines().last().or(panic).unwrap_or_default().trim();
        if line.is_empty() {
            String::new()
        } else {
            format!(" ({line})")
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.job);
    }
}

/// The line that arrives on the status port; nothing if the guest dies before.
fn report_from(mut status: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        let mut byte = [0];
        while let Ok(1) = status.read(&mut byte) {
            if byte == *b"\n" {
                let _ = sender.send(line);
                return;
            }
            line.push(byte[0]);
        }
    });
    receiver
}

/// A new folder for the logs of one run; the oldest ones go.
fn run_folder() -> Result<PathBuf> {
    let runs = paths::target().join("vm");
    fs::create_dir_all(&runs)?;
    prune(&runs);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let folder = runs.join(format!(
        "{:010}.{:09}-{}",
        now.as_secs(),
        now.subsec_nanos(),
        std::process::id()
    ));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

fn prune(runs: &Path) {
    let Ok(entries) = fs::read_dir(runs) else {
        return;
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders.iter().rev().skip(KEPT_RUNS) {
        let _ = fs::remove_dir_all(folder);
    }
}
