// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask kernels`: which kernels Debian offers, which are known to pass, at hand, and tested here.

use anyhow::Result;
use clap::Args;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use crate::date::date_of;
use crate::setup::archive::{self, Offers};
use crate::setup::catalogue::{self, Flavour, Release, Wanted, KNOWN};
use crate::setup::kernel;
use crate::testing::record;
use crate::ui;

/// Show which kernels are offered, known to pass, at hand, and tested here
#[derive(Debug, Args)]
pub(super) struct Kernels {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Kernels {
    pub(super) fn run(self) -> Result<i32> {
        let offers = archive::offers(true).or_else(|error| {
            ui::warn(&format!("Debian cannot be asked what it offers: {error:#}"));
            archive::offers_at_hand()
        })?;
        let rows = rows(&offers)?;
        let text = if self.json {
            serde_json::to_string_pretty(&Value::Array(rows))? + "\n"
        } else {
            table(&rows)
        };
        // Whoever reads may have seen enough.
        let _ = std::io::stdout().write_all(text.as_bytes());
        Ok(0)
    }
}

fn table(rows: &[Value]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 6]| {
        let [release, kernel, offered, known, cached, tested] = cells;
        let start = format!("{release:<28} {kernel:<12} {offered:<20}");
        text += &format!("{start} {known:<11} {cached:<11} {tested}\n");
    };
    let names = ["release", "kernel", "offered", "known", "cached", "tested"];
    line([
        "release", "--kernel", "offered", "known", "cached", "tested",
    ]);
    for row in rows {
        line(names.map(|name| row[name].as_str().unwrap_or("-")));
    }
    if let Some(date) = archive::asked_on() {
        text += &format!("Debian was asked on {date}\n");
    }
    text
}

/// One row for each release that anybody knows, newest first.
fn rows(offers: &Offers) -> Result<Vec<Value>> {
    let cached = kernel::all_cached()?;
    let known = KNOWN.iter().flat_map(|series| {
        Flavour::ALL.map(|flavour| Wanted {
            series: Some(series.name.into()),
            flavour,
        })
    });
    let mut all: BTreeSet<Release> = known.flat_map(|it| catalogue::pinned(&it)).collect();
    all.extend(offers.keys().cloned());
    all.extend(cached.iter().map(|kernel| kernel.id.clone()));
    let tested = record::all();
    let row = |release: &Release| {
        let series = release.version.series();
        let known = KNOWN
            .iter()
            .find(|it| it.name == series && it.release == release.version.to_string());
        let at_hand = cached.iter().find(|kernel| kernel.id == *release);
        let since = at_hand.and_then(|kernel| fs::metadata(kernel.initrd()).ok()?.modified().ok());
        json!({
            "release": release.to_string(),
            "kernel": format!("{series}-{}", release.flavour.name()),
            "offered": offers.get(release),
            "known": known.map(|it| it.passed),
            "cached": since.map(date_of),
            "tested": tested.get(&release.to_string()),
        })
    };
    Ok(all.iter().rev().map(row).collect())
}
