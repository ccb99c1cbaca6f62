// SPDX-License-Identifier: GPL-2.0
//! Runs the job's programs: pipes in between, status and bytes back to the host.

use crate::{ports, scene};
use anyhow::{Context, Result};
use guest_init::Word;
use nix::sys::signal::{kill, Signal};
use nix::sys::wait::{waitpid, WaitStatus};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long background children may go on writing after the command itself has ended.
const GRACE: Duration = Duration::from_secs(1);

/// A command with exactly the environment that the rig promises.
pub(crate) fn command(program: &OsStr, term: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", "/root")
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LANG", "C.UTF-8")
        .env("TERM", term);
    command
}

fn command_from(argv: &[Word]) -> Result<Command> {
    let (program, arguments) = argv.split_first().context("empty argv")?;
    let mut command = command(OsStr::from_bytes(program), "dumb");
    command.args(arguments.iter().map(|word| OsStr::from_bytes(word)));
    Ok(command)
}

/// Runs a command of the rig's own, its output on the console log.
///
/// # Errors
/// It could not be run or failed; the message carries its last line.
pub(crate) fn helper(argv: &[Word]) -> Result<()> {
    if argv.is_empty() {
        return Ok(());
    }
    let name = String::from_utf8_lossy(&argv[0]).into_owned();
    let output = command_from(argv)?
        .stdin(Stdio::null())
        .output()
        .with_context(|| name.clone())?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    for line in text.lines() {
        scene::console_line(line);
    }
    let last = text.lines().last().unwrap_or("no output");
    anyhow::ensure!(output.status.success(), "{name}: {}: {last}", output.status);
    Ok(())
}

/// How a command ended.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// 128+N for signal N; 126 and 127 as a shell.
    pub(crate) status: u8,
    /// How many bytes went to the host's stdout and stderr.
    pub(crate) written: [u64; 2],
}

/// Runs the command with pipes copied to and from the host's ports.
///
/// # Errors
/// A port or pipe is missing; a command that cannot be run is a status (126, 127), not an error.
pub(crate) fn piped(argv: &[Word], stdin: bool) -> Result<End> {
    let stdout_port = ports::open_for_writing("stdout")?;
    let mut stderr_port = ports::open_for_writing("stderr")?;
    let input = if stdin { Stdio::piped() } else { Stdio::null() };
    let spawned = command_from(argv)?
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let line = format!("xtask: {}: {error}\n", String::from_utf8_lossy(&argv[0]));
            stderr_port.write_all(line.as_bytes())?;
            let not_found = error.kind() == ErrorKind::NotFound;
            return Ok(End {
                status: if not_found { 127 } else { 126 },
                written: [0, line.len() as u64],
            });
        }
    };
    if let Some(pipe) = child.stdin.take() {
        let port = ports::open_for_reading("stdin")?;
        thread::spawn(move || feed(port, pipe));
    }
    let finished = [
        copier(child.stdout.take().context("stdout pipe")?, stdout_port),
        copier(child.stderr.take().context("stderr pipe")?, stderr_port),
    ];
    let status = reap_until(&child)?;
    let written = drain(&finished);
    Ok(End { status, written })
}

/// Copies the host's bytes to the program; when the program closes its stdin the rest is read and dropped.
fn feed(mut port: File, mut pipe: impl Write) {
    let mut count = 0;
    if copy(&mut port, &mut pipe, &mut count).is_err() {
        drop(pipe);
        let _ = copy(&mut port, &mut io::sink(), &mut count);
    }
}

/// Copies to the end and adds up the bytes in `total`. Unlike io::copy by plain reads and writes: splice(), which that
/// would use, does not work on virtio ports.
fn copy(from: &mut impl Read, to: &mut impl Write, total: &mut u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => {
                to.write_all(&buffer[..count])?;
                *total += count as u64;
            }
        }
    }
}

/// Copies one output pipe to its port on a thread of its own; at the end the receiver hears how many bytes they were.
fn copier(mut pipe: impl Read + Send + 'static, mut port: File) -> Receiver<u64> {
    let (done, finished) = channel();
    thread::spawn(move || {
        let mut count = 0;
        if let Err(error) = copy(&mut pipe, &mut port, &mut count) {
            scene::console_line(&format!("guest-init: copying output: {error}"));
        }
        // The next command opens the port again.
        drop(port);
        let _ = done.send(count);
    });
    finished
}

/// Waits for `child`, reaping every orphan on the way as process 1 has to.
pub(crate) fn reap_until(child: &Child) -> Result<u8> {
    let wanted = Pid::from_raw(i32::try_from(child.id())?);
    loop {
        match waitpid(None, None).context("waitpid")? {
            WaitStatus::Exited(pid, code) if pid == wanted => {
                return Ok(u8::try_from(code & 0xff)?)
            }
            WaitStatus::Signaled(pid, signal, _) if pid == wanted => {
                return Ok(u8::try_from(128 + signal as i32)?)
            }
            _ => {}
        }
    }
}

/// Waits until both outputs have ended. Background children may hold them open; when their grace is over they are
/// killed, as a machine going down does, and what they had written still arrives, however slowly the host reads.
/// Returns how many bytes each output had.
fn drain(finished: &[Receiver<u64>; 2]) -> [u64; 2] {
    let deadline = Instant::now() + GRACE;
    finished.each_ref().map(|receiver| {
        let left = deadline.saturating_duration_since(Instant::now());
        receiver.recv_timeout(left).unwrap_or_else(|_| {
            kill_everyone_else();
            receiver.recv().unwrap_or_default()
        })
    })
}

/// Kills every process but this one.
pub(crate) fn kill_everyone_else() {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}
