// SPDX-License-Identifier: GPL-2.0
//! mcexec: runs a program on a co-kernel and stands in for it on Linux.
//!
//! There is one mcexec for each program. It loads the program into memory of the co-kernel, which
//! it sees at the same addresses through its *window*. Then it performs the system calls that the
//! program delegates.
//!
//! * [`start`] brings a program to the co-kernel with the help of [`image`], [`device`], its [`gate`] and [`window`].
//! * [`delegate`] serves it: its workers perform the calls, as [`syscall`] makes them.
//! * [`procfs`] and [`core_dump`] tell the truth about it; [`function`] runs functions of it here.
//! * [`signals`] passes signals on, and [`control`] watches over life and death.
//!
//! The table of floors in `docs/architecture.md` says which folder may know which.
#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]

mod control;
mod core_dump;
mod delegate;
#[expect(unsafe_code, reason = "calls by number, and a descriptor of mcctrl's")]
mod device;
mod error;
mod function;
#[expect(unsafe_code, reason = "a mapping whose addresses are calls")]
mod gate;
mod image;
mod proc_file;
mod procfs;
mod signals;
mod start;
#[expect(unsafe_code, reason = "the system call instruction")]
mod syscall;
#[expect(unsafe_code, reason = "the window and the slots are mapped memory")]
mod window;

use std::io::{self, Write};

use delegate::Program;
use error::StartError;
use image::vdso;
use start::cli::{self, Command};
use start::spare::without_descriptors;
use start::{inherited, launch, prepare, resume};

/// Answer to `--version`.
const VERSION: &str = concat!("mcexec ", env!("CARGO_PKG_VERSION"), "\n");

/// Runs the program. Returns the exit status if it was not started.
fn run() -> u8 {
    window::keep_free();
    vdso::find();
    let started = match attempt() {
        Err(Ending::NotStarted(error)) if error.wants_descriptors => {
            without_descriptors(attempt).unwrap_or(Err(Ending::NotStarted(error)))
        }
        other => other,
    };
    match started {
        Ok(program) => delegate::worker::serve_main(program),
        Err(Ending::NotStarted(error)) => complain(&error),
        Err(Ending::Told(status)) => status,
    }
}

/// Why there is no program to serve.
enum Ending {
    NotStarted(StartError),
    /// Nothing was to be started; the exit status.
    Told(u8),
}

impl From<StartError> for Ending {
    fn from(error: StartError) -> Self {
        Self::NotStarted(error)
    }
}

/// Starts the program, up to its first instruction.
fn attempt() -> Result<&'static Program, Ending> {
    let (ignored_signals, blocked_signals) = inherited::signals();
    let mut inheritance = prepare::Inheritance {
        environment: inherited::environment(),
        ignored_signals,
        blocked_signals,
        limits: inherited::limits(),
    };
    let (run, opened) = match resume::take(&mut inheritance)? {
        Some((run, opened)) => (run, Some(opened)),
        None => match cli::parse(std::env::args_os().skip(1)) {
            Ok(Command::Run(run)) => (run, None),
            Ok(Command::Help) => return Err(Ending::Told(print(cli::HELP))),
            Ok(Command::Version) => return Err(Ending::Told(print(VERSION))),
            Err(line) => return Err(StartError::usage(line).into()),
        },
    };
    let program = launch::launch(&run, opened, &inheritance)?;
    Ok(Box::leak(Box::new(program)))
}

fn complain(error: &StartError) -> u8 {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(io::stderr(), "mcexec: {}", error.line);
    error.status
}

fn print(text: &str) -> u8 {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
