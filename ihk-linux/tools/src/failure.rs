// SPDX-License-Identifier: GPL-2.0
//! The end of a tool: one line `TOOL: WHAT VALUE: REASON` on stderr, and 0, 1 or 2.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::Parser;

/// The reason why a command was not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Refused or failed: exit status 1.
    Refused(String),
    /// The command line makes no sense: exit status 2.
    Usage(String),
}

/// Result of everything a tool does.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl Failure {
    /// `what` was refused because of `reason`.
    pub fn refused(what: impl Display, reason: impl Display) -> Self {
        Self::Refused(format!("{what}: {reason}"))
    }

    /// `what` cannot be understood because of `reason`.
    pub fn usage(what: impl Display, reason: impl Display) -> Self {
        Self::Usage(format!("{what}: {reason}"))
    }

    /// The line without the tool's name.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Usage(text) => text,
        }
    }

    fn status(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

/// The frame of every tool's `main`: parses the command line, runs `body`, reports.
pub fn run_tool<C: Parser>(tool: &str, body: impl FnOnce(C) -> Result) -> ExitCode {
    let result = match C::try_parse() {
        Ok(command) => body(command),
        Err(error) => help_or_usage(&error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{tool}: {}", failure.text());
            ExitCode::from(failure.status())
        }
    }
}

/// Help and version go to stdout; clap's other messages shrink to one line.
fn help_or_usage(error: &clap::Error) -> Result {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return say(error.render());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Failure::usage("command line", "incomplete (see --help)"));
    }
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let mut line = first.trim_start_matches("error: ").trim_end().to_owned();
    if line.ends_with(':') {
        let missing: Vec<_> = text
            .lines()
            .skip(1)
            .take_while(|line| !line.is_empty())
            .map(str::trim)
            .collect();
        line = format!("{line} {}", missing.join(" "));
    }
    Err(Failure::usage("command line", line))
}

/// Writes `text` to stdout as it is.
///
/// # Errors
///
/// stdout takes no more (full device, closed pipe).
pub fn say(text: impl Display) -> Result {
    say_bytes(text.to_string().as_bytes())
}

/// Writes `bytes` to stdout.
///
/// # Errors
///
/// As [`say`].
pub fn say_bytes(bytes: &[u8]) -> Result {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::refused("standard output", error))
}

/// Writes `value` to stdout as one line of JSON.
///
/// # Errors
///
/// As [`say`].
pub fn say_json(value: &impl serde::Serialize) -> Result {
    let text = serde_json::to_string(value).map_err(|error| Failure::refused("JSON", error))?;
    say(format_args!("{text}\n"))
}

/// An input/output error in the words of the C library, without Rust's `(os error N)`.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
