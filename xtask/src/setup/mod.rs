// SPDX-License-Identifier: GPL-2.0
//! What has to be there before anything is built or booted, made once and shared by all clones.

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
pub mod kernel;
pub mod rust_src;

use anyhow::{ensure, Result};
use std::path::PathBuf;
use std::time::SystemTime;

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
/// room.
///
/// # Errors
/// There is no room, or no place for a cache.
pub fn announce(wanted: &Wanted) -> Result<()> {
    // What cannot be removed is no reason to do without what is there.
    if let Err(error) = clearing::tidy() {
        ui::warn(&format!("{error:#}"));
    }
    cache::hold()?;
    let [tree, image] = guest_tree::names("");
    let mut needs = vec![
        (base_tree::name(), base_tree::MIB),
        (buildroot::name(), buildroot::MIB),
        (tree, guest_tree::MIB[0]),
        (image, guest_tree::MIB[1]),
    ];
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

/// The day of a time, as `YYYY-MM-DD` (Hinnant's `civil_from_days`).
#[must_use]
pub fn date_of(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let days = seconds.as_secs() / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{:02}",
        of_year - (153 * shifted + 2) / 5 + 1
    )
}

#[cfg(test)]
mod tests {
    use super::date_of;
    use std::time::{Duration, SystemTime};

    #[test]
    fn days_have_their_dates() {
        let date =
            |days: u64| date_of(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + 7));
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_787), "2026-11-30");
    }
}
