// SPDX-License-Identifier: GPL-2.0
//! The choice of a kernel: what is at hand before what is offered, as far as the catalogue allows.

use anyhow::{anyhow, bail, Result};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use super::entries::{all_cached, cached, is_whole, whole};
use super::{fetch, Kernel};
use crate::setup::archive::{self, Offers};
use crate::setup::cache;
use crate::setup::catalogue::{self, Release, Wanted};
use crate::ui;

/// The kernel for `wanted`; fetched if it is missing. Debian is asked only if the release that the tests passed with
/// is not at hand.
///
/// # Errors
/// Neither the cache nor Debian has any kernel for it.
pub fn stock(wanted: &Wanted) -> Result<Kernel> {
    static CHOSEN: Mutex<BTreeMap<String, Kernel>> = Mutex::new(BTreeMap::new());
    let mut chosen = CHOSEN.lock().map_err(|_| anyhow!("a thread died"))?;
    let name = wanted.to_string();
    if let Some(kernel) = chosen.get(&name) {
        return Ok(kernel.clone());
    }
    let kernel = find(wanted)?;
    cache::mark_used(&kernel.folder);
    chosen.insert(name, kernel.clone());
    Ok(kernel)
}

/// Whether nothing need be fetched for `wanted`, as far as can be told without asking Debian.
///
/// # Errors
/// There is no place for a cache.
pub fn is_at_hand(wanted: &Wanted) -> Result<bool> {
    let series = wanted.series.as_deref();
    let fits = |kernel: &Kernel| {
        kernel.id.flavour == wanted.flavour
            && series.is_none_or(|series| kernel.id.version.series() == series)
            && is_whole(kernel)
    };
    Ok(all_cached()?.iter().any(fits))
}

fn find(wanted: &Wanted) -> Result<Kernel> {
    let pinned = catalogue::pinned(wanted);
    if let Some(kernel) = pinned.first().and_then(whole) {
        return Ok(kernel);
    }
    match archive::offers(false) {
        // Lists of yesterday may name packages that a mirror has replaced since.
        Ok(offers) => among(wanted, &offers).or_else(|_| among(wanted, &archive::offers(true)?)),
        Err(error) => without_archive(wanted, error),
    }
}

/// The best of what is offered.
fn among(wanted: &Wanted, offers: &Offers) -> Result<Kernel> {
    let offered: Vec<Release> = offers.keys().cloned().collect();
    for choice in catalogue::choose(wanted, &offered)? {
        let release = choice.release;
        if let Some(warning) = choice.warning {
            ui::warn(&warning);
        }
        // What cannot be fetched today is no reason to take another series: that is an error.
        let version = &offers[&release];
        let kernel = match cached(&release, version) {
            Some(kernel) => kernel,
            None => fetch::kernel(&release, version)?,
        };
        if has_rust(&kernel) {
            return Ok(kernel);
        }
        ui::warn(&format!("{release}: built without CONFIG_RUST"));
    }
    bail!(
        "Debian offers no kernel with Rust of the flavour {}",
        wanted.flavour.name()
    )
}

/// No mirror answers: whatever the cache has whole of the flavour, best first.
fn without_archive(wanted: &Wanted, error: anyhow::Error) -> Result<Kernel> {
    let usable = |kernel: &Kernel| is_whole(kernel) && has_rust(kernel);
    let kernels = all_cached()?.into_iter().filter(usable);
    let releases: Vec<Release> = kernels.map(|it| it.id).collect();
    let choices = catalogue::choose(wanted, &releases).unwrap_or_default();
    match choices.first().and_then(|choice| whole(&choice.release)) {
        Some(kernel) => {
            ui::warn(&format!(
                "Debian cannot be asked what it offers ({error:#}); using {} from the cache",
                kernel.release
            ));
            Ok(kernel)
        }
        None => Err(error),
    }
}

/// Whether its modules can be written in Rust.
fn has_rust(kernel: &Kernel) -> bool {
    let config = fs::read_to_string(kernel.headers().join(".config"));
    config.is_ok_and(|config| config.lines().any(|line| line == "CONFIG_RUST=y"))
}
