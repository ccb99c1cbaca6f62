// SPDX-License-Identifier: GPL-2.0
//! The command line: `mcexec [-c CPU] [-n PROCS] [-m NODES] [-t N] [--way=WAY] [OS] [--] PROGRAM
//! ARGS…`.
//!
//! It is parsed by hand, because everything from PROGRAM on belongs to the program, a first operand
//! of digits is the instance, and `--` decides what a program named `0` is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use ihk_ikc::layout::{MAX_CPUS, MAX_INSTANCES};

/// Text of `--help`.
pub(crate) const HELP: &str = "\
Run a program on a co-kernel

Usage: mcexec [OPTIONS] [OS] [--] PROGRAM [ARGS]...

Arguments:
  [OS]       Number of the instance, if the first operand is digits only [default: 0]
  PROGRAM    An unmodified Linux program; searched for in PATH
  [ARGS]...  Its arguments

Options:
  -c CPU         Co-kernel CPU to run on, from 0 on
  -n PROCS       Processes per node; only 1 for now
  -m NODES       Memory nodes; not supported yet
  -t N           Number of proxy threads; accepted and ignored
  --way=WAY      For measurement: how data of delegated calls travel: around (map
                 the page that Linux touches, with its neighbours), page
                 (that page only), before (map the buffer of a read before the
                 call), copy (no mapping: copy the data of read, write,
                 pread64, pwrite64 and simple ioctls)
  -h, --help     Print help
  -V, --version  Print version

Exit status is the program's; 126 if it cannot be executed, 127 if it is not found.
";

/// The order that a command line gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Print help.
    Help,
    /// Print the version.
    Version,
    /// Run a program.
    Run(Run),
}

/// A transport for the data of delegated calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The first use of a little memory goes through the slot's bounce page, all else like
    /// [`Self::Around`].
    #[default]
    Usual,
    /// Linux faults in the window. The pages around come with it, or 2 MiB at once.
    Around,
    /// Linux faults in the window for each page.
    Page,
    /// The buffer of a call is mapped in the window before the call is made.
    Before,
    /// The data are copied through a buffer of mcexec's, as in the original design.
    Copy,
}

impl Transport {
    /// Returns the transport that `--way=` calls `name`.
    #[must_use]
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"around" => Some(Self::Around),
            b"page" => Some(Self::Page),
            b"before" => Some(Self::Before),
            b"copy" => Some(Self::Copy),
            _ => None,
        }
    }
}

/// A program to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// Instance number.
    pub os: u32,
    /// Co-kernel CPU, if one was chosen.
    pub cpu: Option<u32>,
    /// The transport for the data of delegated calls.
    pub transport: Transport,
    /// The program and its arguments. It is never empty.
    pub argv: Vec<OsString>,
}

/// Parses `arguments`, which come without the tool's own name.
///
/// # Errors
///
/// The line that says what is wrong: `WHAT VALUE: REASON`.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter().peekable();
    let mut run = Run::default();
    while let Some(option) = arguments.next_if(|next| is_option(next)) {
        match option.as_bytes() {
            b"--" => return finish(run, arguments.collect()),
            b"-h" | b"--help" => return Ok(Command::Help),
            b"-V" | b"--version" => return Ok(Command::Version),
            [b'-', letter @ (b'c' | b'n' | b'm' | b't'), attached @ ..] => {
                let value = if attached.is_empty() {
                    arguments.next()
                } else {
                    Some(OsStr::from_bytes(attached).to_owned())
                };
                set_option(&mut run, char::from(*letter), value)?;
            }
            [b'-', b'-', b'w', b'a', b'y', b'=', name @ ..] => {
                run.transport = Transport::named(name).ok_or_else(|| {
                    format!("option {}: no such way (see --help)", option.display())
                })?;
            }
            _ => return Err(format!("option {}: unknown (see --help)", option.display())),
        }
    }
    if let Some(digits) = arguments.next_if(|next| is_number(next)) {
        run.os = number("os", &digits, MAX_INSTANCES)?;
        let _ = arguments.next_if(|next| next == "--");
    }
    finish(run, arguments.collect())
}

fn finish(mut run: Run, argv: Vec<OsString>) -> Result<Command, String> {
    if argv.is_empty() {
        return Err("PROGRAM: missing (see --help)".to_owned());
    }
    run.argv = argv;
    Ok(Command::Run(run))
}

fn set_option(run: &mut Run, letter: char, value: Option<OsString>) -> Result<(), String> {
    let value = value.ok_or_else(|| format!("option -{letter}: needs a value"))?;
    match letter {
        'c' => run.cpu = Some(number("cpu", &value, MAX_CPUS)?),
        'n' if number::<u32>("processes", &value, usize::MAX)? == 1 => {}
        'n' => {
            return Err(format!(
                "option -n {}: only one process per node is supported",
                value.display()
            ))
        }
        'm' => return Err(format!("option -m {}: not supported yet", value.display())),
        _ => drop(number::<u64>("threads", &value, usize::MAX)?),
    }
    Ok(())
}

fn is_option(text: &OsStr) -> bool {
    text.len() > 1 && text.as_bytes().starts_with(b"-")
}

fn is_number(text: &OsStr) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(u8::is_ascii_digit)
}

/// Returns `text` as a number below `limit`.
fn number<N: TryFrom<u64>>(what: &str, text: &OsStr, limit: usize) -> Result<N, String> {
    let shown = text.display();
    if !is_number(text) {
        return Err(format!("{what} {shown}: not a number"));
    }
    let value: Option<u64> = text.to_str().and_then(|digits| digits.parse().ok());
    value
        .filter(|value| *value < limit as u64)
        .and_then(|value| value.try_into().ok())
        .ok_or_else(|| format!("{what} {shown}: too large"))
}

#[cfg(test)]
mod tests {
    use super::{parse, Command, Run, Transport};
    use std::ffi::OsString;

    fn run(line: &str) -> Result<Run, String> {
        match parse(line.split_whitespace().map(OsString::from))? {
            Command::Run(run) => Ok(run),
            other => Err(format!("{other:?}")),
        }
    }

    fn expect(os: u32, cpu: Option<u32>, argv: &[&str]) -> Run {
        Run {
            os,
            cpu,
            transport: Transport::default(),
            argv: argv.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn a_first_operand_of_digits_is_the_instance() {
        for (line, wanted) in [
            ("ls -l", expect(0, None, &["ls", "-l"])),
            ("1 ls -c 3", expect(1, None, &["ls", "-c", "3"])),
            ("-c 2 1 -- ls", expect(1, Some(2), &["ls"])),
            ("-c2 -t 4 -n 1 ls", expect(0, Some(2), &["ls"])),
            ("-- 0 x", expect(0, None, &["0", "x"])),
            ("-- -x", expect(0, None, &["-x"])),
            ("1 -- -- y", expect(1, None, &["--", "y"])),
            ("ls -- 0", expect(0, None, &["ls", "--", "0"])),
            ("- x", expect(0, None, &["-", "x"])),
        ] {
            assert_eq!(run(line), Ok(wanted), "{line}");
        }
    }

    #[test]
    fn a_way_is_chosen_by_its_name() {
        assert_eq!(
            run("--way=copy ls").map(|run| run.transport),
            Ok(Transport::Copy)
        );
        assert_eq!(
            run("ls --way=copy").map(|run| run.transport),
            Ok(Transport::Usual)
        );
    }

    #[test]
    fn ways_have_names() {
        assert_eq!(Transport::named(b"page"), Some(Transport::Page));
        assert_eq!(Transport::named(b"around"), Some(Transport::Around));
        assert_eq!(Transport::named(b"pages"), None);
    }

    #[test]
    fn malformed_command_lines_are_refused() {
        for line in [
            "",
            "0",
            "--",
            "1 --",
            "-c",
            "-c x ls",
            "-c -1 ls",
            "-c 256 ls",
            "-n 2 ls",
            "-n 0 ls",
            "-m 0 ls",
            "-t x ls",
            "-z ls",
            "--way ls",
            "--way= ls",
            "--way=pages ls",
            "--foo ls",
            "99999999999999999999 ls",
            "64 ls",
        ] {
            assert!(run(line).is_err(), "{line:?} was taken");
        }
    }
}
