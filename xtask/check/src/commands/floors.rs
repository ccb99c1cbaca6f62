// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask floors`: which imports run upwards or in circles, to be asked while code is being moved.

use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

use crate::floors::report::Query;
use crate::floors::PAGE;
use xtask::paths;

/// Show circles of imports, and imports that run upwards between the floors of a part
#[derive(Debug, Args)]
pub(super) struct Floors {
    /// Only of this part: cokernel, mcexec, mcctrl, ihk-linux, tools, xtask, bench or check
    part: Option<String>,
    /// The imports of this file instead: the end of its name
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
    /// The imports of what this file defines instead: the end of its name
    #[arg(long, value_name = "FILE")]
    to: Option<String>,
    /// Read this clone instead of the one around the current folder
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
    /// Read the tables of floors from this page
    #[arg(long, value_name = "PAGE")]
    table: Option<PathBuf>,
}

impl Floors {
    pub(super) fn run(self) -> Result<i32> {
        let root = self.root.or_else(around);
        let root = root.unwrap_or_else(|| paths::repository().into());
        let query = Query {
            page: &self.table.unwrap_or_else(|| root.join(PAGE)),
            root: &root,
            part: self.part.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
        };
        let (text, is_good) = query.answer()?;
        print!("{text}");
        Ok(i32::from(!is_good))
    }
}

/// The clone around the current folder: a copy of this program can be asked in any clone.
fn around() -> Option<PathBuf> {
    let folder = std::env::current_dir().ok()?;
    let mut folders = folder.ancestors();
    folders
        .find(|folder| folder.join(PAGE).exists())
        .map(Into::into)
}
