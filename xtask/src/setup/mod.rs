// SPDX-License-Identifier: GPL-2.0
//! The set-up: all that has to be there before anything is built or booted, made once and shared by all clones.

pub mod apt;
pub mod archive;
pub mod base_tree;
pub mod buildroot;
pub mod cache;
pub mod catalogue;
pub mod chroot;
pub mod clearing;
pub mod clippy;
pub mod guest_tree;
pub mod host;
mod inventory;
pub mod kernel;
pub mod rust_src;
mod tidying;

use anyhow::{ensure, Result};
use std::path::PathBuf;

use crate::paths;
use crate::ui;
use catalogue::Wanted;

/// What booting a machine needs.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Debian tree with the target kernels' compilers and QEMU.
    pub build_root: PathBuf,
    /// The stock kernel.
    pub kernel: kernel::Kernel,
}

impl Environment {
    /// Makes what is missing, or waits for another run that is making it.
    ///
    /// # Errors
    /// A package cannot be had, or there is no way to become root.
    pub fn prepare(wanted: &Wanted) -> Result<Self> {
        let build_root = buildroot::prepare()?;
        let kernel = kernel::stock(wanted)?;
        Ok(Self { build_root, kernel })
    }
}

/// Tidies up the cache, says what the set-up for `wanted` will need before it begins, and refuses if the disk has not the
/// room. A `small` guest is one whose root is [`guest_tree::small_image`].
///
/// # Errors
/// There is no room, or no place for a cache.
pub fn announce(wanted: &Wanted, small: bool) -> Result<()> {
    // What cannot be removed is no reason to do without what is there.
    if let Err(error) = tidying::tidy() {
        ui::warn(&format!("{error:#}"));
    }
    cache::hold()?;
    let mut needs = vec![
        (base_tree::name(), base_tree::MIB),
        (buildroot::name(), buildroot::MIB),
    ];
    if small {
        needs.push((guest_tree::small_name(), guest_tree::SMALL_MIB));
    } else {
        needs.extend(guest_tree::names("").into_iter().zip(guest_tree::MIB));
    }
    needs.retain(|(name, _)| cache::path(name).is_ok_and(|path| !path.exists()));
    let mut mib: u64 = needs.iter().map(|(_, mib)| mib).sum();
    if !kernel::is_at_hand(wanted)? {
        mib += kernel::MIB.iter().sum::<u64>();
    }
    if mib == 0 {
        return Ok(());
    }
    let cache = paths::cache()?;
    let free = cache::free_mib(&cache)?;
    ensure!(
        free >= mib,
        "{}: no room: the set-up needs about {mib} MiB, {free} MiB are free",
        cache.display()
    );
    ui::say(&format!(
        "set-up: about {mib} MiB in {} ({free} MiB are free), once for all clones",
        cache.display()
    ));
    Ok(())
}
