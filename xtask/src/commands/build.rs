// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask build`: for developers; every other command builds what it needs by itself.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::build::{self, Part};
use crate::setup::Environment;
use crate::ui;

/// Build the parts that travel into the guest
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Only this part
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
}

impl Build {
    pub(super) fn run(self) -> Result<i32> {
        let environment = Environment::prepare()?;
        match self.only {
            Some(part) => build::build(&environment, &[part])?,
            None => build::build(&environment, Part::value_variants())?,
        }
        ui::time_table();
        Ok(0)
    }
}
