// SPDX-License-Identifier: GPL-2.0
//! One virtual machine, one command: boot, run, power off.

use anyhow::{bail, Context, Result};
use guest_init::{Command as GuestCommand, Job};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use crate::build::{self, Part, Work};
use crate::paths;
use crate::setup::{self, guest_tree, Environment};
use crate::vm::options::VmOptions;
use crate::vm::qemu::{self, Disks};
use crate::vm::reports::Reports;
use crate::vm::running::{self, EmulatorFailed, Files, Running};
use crate::vm::streams::{self, Input, Link};
use crate::vm::{job, spawn};

/// Name of the log of kernel messages.
pub(super) const KMSG: &str = "kmsg.log";

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
    /// The command's status; 128+N for signal N; [`running::TIMED_OUT`].
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

/// The image that the guest has for its root.
fn root(options: &VmOptions) -> Result<PathBuf> {
    if options.small {
        guest_tree::small_image()
    } else {
        guest_tree::image(&options.install)
    }
}

impl Machine {
    /// A machine with these options; makes what is missing in the cache.
    ///
    /// # Errors
    /// An option makes no sense, or setting up failed.
    pub fn new(options: VmOptions) -> Result<Self> {
        options.check()?;
        let wanted = options.wanted();
        setup::announce(&wanted, options.small)?;
        let mut works: Vec<Work<'_>> = Vec::new();
        if !options.no_build {
            works.push(Box::new(|| {
                if options.small {
                    build::build(&wanted, &[Part::Cokernel, Part::Modules, Part::Commands])
                } else {
                    build::build_all(&wanted)
                }
            }));
        }
        works.push(Box::new(|| build::later(|| root(&options)).map(drop)));
        build::at_once(works)?;
        Ok(Self {
            environment: Environment::prepare(&wanted)?,
            root: root(&options)?,
            options,
        })
    }

    /// Boots, runs `argv` with `stdin` and collects what it writes. If QEMU ends itself by a failed assertion of its
    /// own, it is all done once more: a machine starts from scratch, and nobody has seen what the first one wrote.
    ///
    /// # Errors
    /// The machine did not get as far as the command's end; the message names the console log.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, argv: &[S], stdin: &[u8]) -> Result<Outcome> {
        self.run_once(argv, stdin).or_else(|error| {
            if !error.is::<EmulatorFailed>() {
                return Err(error);
            }
            crate::ui::warn(&format!("starting it once more: {error}"));
            self.run_once(argv, stdin)
        })
    }

    fn run_once<S: AsRef<std::ffi::OsStr>>(&self, argv: &[S], stdin: &[u8]) -> Result<Outcome> {
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
        let (run, streams) = self.start(&command, &["stdout", "stderr", "stdin"])?;
        let [out, err, feed] = <[UnixStream; 3]>::try_from(streams)
            .map_err(|_| anyhow::anyhow!("as many streams as names"))?;
        let out = streams::receive(out, stdout);
        let err = streams::receive(err, stderr);
        let _kept_open = match input {
            Input::From(source) => Some(streams::send(feed, source)?),
            Input::Empty => None,
        };
        let outcome = run.finish(self.options.timeout.unwrap_or_default());
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
        let command = GuestCommand::Shell {
            rows,
            columns,
            term,
        };
        let (run, _) = self.start(&command, &[])?;
        Ok(run.finish(self.options.timeout.unwrap_or_default())?.0)
    }

    /// A machine whose Linux is up, and our ends of the streams called `names`. One that does not come up is started
    /// once more: nothing of the job has been done by then, so its failure says nothing about the job.
    pub(super) fn start(
        &self,
        command: &GuestCommand,
        names: &[&'static str],
    ) -> Result<(Running, Vec<UnixStream>)> {
        let timeout = self.options.timeout.map(Duration::from_secs);
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let (mut run, streams) = self.launch(command, names, deadline)?;
        if run.comes_up() {
            return Ok((run, streams));
        }
        let place = run.whereabouts();
        crate::ui::warn(&format!(
            "Linux did not come up, starting it once more: {place}"
        ));
        drop(run);
        let (mut run, streams) = self.launch(command, names, deadline)?;
        anyhow::ensure!(
            run.comes_up(),
            "Linux did not come up: {}",
            run.whereabouts()
        );
        Ok((run, streams))
    }

    fn launch(
        &self,
        command: &GuestCommand,
        names: &[&'static str],
        deadline: Option<Instant>,
    ) -> Result<(Running, Vec<UnixStream>)> {
        let shell = matches!(command, GuestCommand::Shell { .. });
        let folder = run_folder()?;
        let files = Files::in_folder(&folder);
        let job = Job {
            before: self.options.mcreboot(),
            command: command.clone(),
        };
        let release = &self.environment.kernel.release;
        job::write(&files.job, &job, &self.options, release)?;
        let disks = Disks {
            root: &self.root,
            job: &files.job,
            console: &files.console,
            kmsg: &folder.join(KMSG),
        };
        let names = ["status"].iter().chain(names);
        let links = names
            .map(|name| Link::new(name))
            .collect::<Result<Vec<_>>>()?;
        let monitor = Link::new("monitor")?;
        let mut qemu = qemu::command(
            &self.environment,
            &self.options,
            &disks,
            &links,
            &monitor,
            shell,
        );
        fs::write(folder.join("qemu.cmd"), format!("{qemu:?}\n"))?;
        qemu.stderr(File::create(&files.errors)?);
        if !shell {
            qemu.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) = links
            .into_iter()
            .map(|link| (link.ours, link.theirs))
            .unzip();
        theirs.push(monitor.theirs);
        let running = Running {
            child: spawn::spawn(&mut qemu, theirs)?,
            reports: Reports::from(ours.remove(0)),
            deadline,
            // Nobody knows how long what counts each instruction takes.
            boot_time: (!self.options.icount && self.options.plugin.is_empty())
                .then_some(running::BOOT_TIME),
            monitor: monitor.ours,
            files,
        };
        Ok((running, ours))
    }
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
