// SPDX-License-Identifier: GPL-2.0
//! What the host tells the test guest to do: one [`Job`] per boot, as JSON at [`JOB_PATH`].
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

/// What the guest says on its status port, each as one line of JSON: [`Report::Began`], then one of the others.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// Linux is up; nothing of the job has been done yet.
    Began,
    /// The command ended with this status (128+N for signal N; 126 and 127 as a shell).
    Exited(u8),
    /// The rig could not run the command, in one line.
    Failed(String),
}
