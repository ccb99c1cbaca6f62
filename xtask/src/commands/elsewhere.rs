// SPDX-License-Identifier: GPL-2.0
//! Commands that are programs of their own, compiled when they are first asked for: a first `cargo xtask demo` needs
//! neither what draws plots nor what parses Rust.

use anyhow::{Context, Result};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::paths;

/// All that stands behind the command's name: the program reads it, and knows the command's help.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Elsewhere {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Elsewhere {
    /// Becomes the program `package`, in which the command has the name `name`.
    pub(super) fn run(self, package: &str, name: &str) -> Result<i32> {
        let mut cargo = Command::new("cargo");
        cargo.args(["run", "--quiet", "--package", package, "--manifest-path"]);
        cargo.arg(paths::repository().join("Cargo.toml"));
        cargo.args(["--", name]).args(self.arguments);
        // Only a failure comes back.
        Err(cargo.exec()).context("cargo")
    }
}
