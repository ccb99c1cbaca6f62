// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask demo`: one program on the co-kernel, from a fresh clone, with one command.

use anyhow::Result;
use clap::Args;
use std::ffi::OsString;

use super::vm;
use crate::ui;
use crate::vm::options::KernelOption;
use crate::vm::{Machine, VmOptions};

const TOUR: &str = include_str!("../../setup/tour.sh");

/// Build all, boot the stock kernel and the co-kernel, run a program on it
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// A program of the guest and its arguments; none: a guided tour
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
    #[command(flatten)]
    kernel: KernelOption,
}

impl Demo {
    pub(super) fn run(self) -> Result<i32> {
        let machine = Machine::new(VmOptions {
            kernel: Some(self.kernel.wanted()),
            // The tour needs little, so that it comes soon; a program may be any.
            small: self.program.is_empty(),
            ..VmOptions::default()
        })?;
        let command = if self.program.is_empty() {
            ["bash", "-c", TOUR].map(OsString::from).into()
        } else {
            ["mcexec", "--"]
                .map(OsString::from)
                .into_iter()
                .chain(self.program)
                .collect()
        };
        let status = ui::step("boot and run", || vm::run(&machine, command))?;
        ui::time_table();
        Ok(status)
    }
}
