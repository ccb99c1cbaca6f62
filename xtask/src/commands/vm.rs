// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask vm`: boot the stock kernel and run a command on its Linux side.

use anyhow::Result;
use clap::Args;
use nix::sys::termios::{tcgetattr, tcsetattr, SetArg};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;
use terminal_size::terminal_size;

use crate::vm::streams::Input;
use crate::vm::{Machine, VmOptions};

/// Boot the machine and run a command in it, or a shell
#[derive(Debug, Args)]
pub(super) struct Vm {
    #[command(flatten)]
    options: VmOptions,
    /// The command, an argv without a shell; none: an interactive shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Vm {
    pub(super) fn run(self) -> Result<i32> {
        let interactive = self.command.is_empty() && io::stdin().is_terminal();
        let mut options = self.options;
        if !interactive {
            options.timeout = options.timeout.or(VmOptions::default().timeout);
        }
        options.check()?;
        let machine = Machine::new(options)?;
        if interactive {
            return shell(&machine);
        }
        let command = if self.command.is_empty() {
            vec!["/bin/bash".into()]
        } else {
            self.command
        };
        run(&machine, command)
    }
}

/// Runs `command` between our own stdin, stdout and stderr.
pub(super) fn run(machine: &Machine, command: Vec<OsString>) -> Result<i32> {
    let argv = command.into_iter().map(OsStringExt::into_vec).collect();
    let input = if io::stdin().is_terminal() {
        Input::Empty
    } else {
        Input::From(Box::new(io::stdin()))
    };
    let (status, ..) = machine.run_streaming(argv, input, io::stdout(), io::stderr())?;
    Ok(status.into())
}

/// A shell on our own terminal, which QEMU switches to raw mode; it is put back whatever happens to QEMU.
fn shell(machine: &Machine) -> Result<i32> {
    let (columns, rows) = terminal_size().map_or((80, 24), |(width, height)| (width.0, height.0));
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".into());
    let before = tcgetattr(io::stdin())?;
    let status = machine.interact(rows, columns, term);
    tcsetattr(io::stdin(), SetArg::TCSANOW, &before)?;
    Ok(status?.into())
}
