// SPDX-License-Identifier: GPL-2.0
//! Orders of the host to the test guest: one [`Job`] per boot, as JSON at [`JOB_PATH`].
//!
//! Arguments travel as byte arrays, so that every argv the host can express arrives unharmed.

use serde::{Deserialize, Serialize};

/// Where the job description lies in the guest.
pub const JOB_PATH: &str = "/usr/lib/mckernel-rs/job.json";

/// Where [`Job`]'s reader, process 1, lies in the guest.
pub const INIT_PATH: &str = "/usr/lib/mckernel-rs/guest-init";

/// One word of an argv.
pub type Word = Vec<u8>;

/// What the guest is to do between boot and power-off.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Run before the command; a failure of it ends the run as an infrastructure failure. Empty: nothing.
    pub before: Vec<Word>,
    /// The command.
    pub command: Command,
}

/// How the guest runs the command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Command {
    /// An argv with pipes, its stdin fed from the host or empty.
    Piped {
        /// Program and arguments.
        argv: Vec<Word>,
        /// Whether the host feeds stdin.
        stdin: bool,
    },
    /// One argv after another, each a [`Turn`] that the host asks for when the one before has ended; over when the
    /// host says no more.
    Session,
    /// A login shell on the virtio console.
    Shell {
        /// Terminal height.
        rows: u16,
        /// Terminal width.
        columns: u16,
        /// The host's TERM.
        term: String,
    },
}

/// One command of a [`Command::Session`], its stdin empty; a line of JSON on the port `stdin`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Turn {
    /// Program and arguments.
    pub argv: Vec<Word>,
    /// Run when nothing of the command is left, to take back what it may have left on purpose; its output goes to the
    /// console log. Empty: nothing.
    pub after: Vec<Word>,
}

/// What the guest says on its status port, each as one line of JSON: [`Report::Began`], in a session
/// [`Report::Ended`] and [`Report::Restored`] for each turn, at the end [`Report::Exited`] or [`Report::Failed`].
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Linux is up; nothing of the job has been done yet.
    Began,
    /// The command ended with this status (128+N for signal N; 126 and 127 as a shell).
    Exited(u8),
    /// The command of a turn has ended, and what it wrote has been sent.
    Ended {
        /// As in [`Report::Exited`].
        status: u8,
        /// How many bytes it wrote to stdout.
        stdout: u64,
        /// How many bytes it wrote to stderr.
        stderr: u64,
    },
    /// A turn is over, and what the kernels said meanwhile has been sent.
    Restored {
        /// What the command left changed, for which another one had better get a machine of its own; empty if nothing.
        left: String,
    },
    /// The rig could not run the command, in one line.
    Failed(String),
}
