// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask test`: every lane one after the other, then one line with the sum.

use anyhow::Result;
use clap::Args;
use std::time::{Duration, Instant};

use crate::testing::lanes::{self, Count, Selection};
use crate::ui;
use crate::vm::options::KernelOption;

/// What the tests without the long ones may take on the developers' machine (docs/contributing.md, "What a test may
/// cost").
const BUDGET: Duration = Duration::from_secs(30 * 60);

/// Run the tests: unit, model and QEMU boot tests
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Only tests whose name contains one of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The long ones too, and all of them on every kernel
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    kernel: KernelOption,
}

impl Test {
    pub(super) fn run(self) -> Result<i32> {
        let began = Instant::now();
        let is_default = self.filters.is_empty() && !self.all;
        let selection = Selection {
            filters: self.filters,
            all: self.all,
            kernel: self.kernel.asked(),
        };
        let mut sum = Count::default();
        for lane in lanes::select(&selection)? {
            sum.add(&lane.run()?);
        }
        ui::time_table();
        if is_default {
            ui::say(&format!(
                "tests: {} of {} minutes",
                began.elapsed().as_secs() / 60,
                BUDGET.as_secs() / 60
            ));
        }
        println!("{} passed, {} failed", sum.passed, sum.failed);
        Ok(i32::from(sum.failed > 0 || sum.passed == 0))
    }
}
