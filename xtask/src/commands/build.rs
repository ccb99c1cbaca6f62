// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask build`: for developers; every other command builds what it needs by itself.

use anyhow::Result;
use clap::Args;

use crate::build::{self, Part};
use crate::setup;
use crate::ui;
use crate::vm::options::KernelOption;

/// Build the parts that travel into the guest
#[derive(Debug, Args)]
pub(super) struct Build {
    /// Only this part
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    #[command(flatten)]
    kernel: KernelOption,
}

impl Build {
    pub(super) fn run(self) -> Result<i32> {
        let wanted = self.kernel.wanted();
        setup::announce(&wanted, false)?;
        match self.only {
            Some(part) => build::build(&wanted, &[part])?,
            None => build::build_all(&wanted)?,
        }
        ui::time_table();
        Ok(0)
    }
}
