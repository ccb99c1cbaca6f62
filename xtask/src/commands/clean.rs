// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask clean`: what the rig made for this clone goes, on request what it made for all clones.

use anyhow::{Context, Result};
use clap::Args;

use crate::lock;
use crate::paths;
use crate::setup::{cache, clearing};

/// Remove what was built for guests, and logs; with --cache all that set-up made
#[derive(Debug, Args)]
pub(super) struct Clean {
    /// Also build root, kernels and guest images, which all clones share
    #[arg(long)]
    cache: bool,
}

/// Folders of `target/` that only the rig fills; cargo's own are `cargo clean`'s.
const OURS: [&str; 6] = [
    "guest",
    "guest-modules",
    "kbuild",
    "log",
    "test-programs",
    "vm",
];

impl Clean {
    pub(super) fn run(self) -> Result<i32> {
        let target = paths::target();
        std::fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
        let reason = "another run is building in this clone";
        let _lock = lock::take(&target.join("xtask.lock"), reason)?;
        let before = cache::free_mib(&target)?;
        for folder in OURS {
            cache::remove(&target.join(folder))?;
        }
        let freed = cache::free_mib(&target)?.saturating_sub(before);
        println!("{}: {freed} MiB freed", target.display());
        if self.cache {
            let freed = clearing::clear()?;
            println!("{}: {freed} MiB freed", paths::cache()?.display());
        }
        Ok(0)
    }
}
