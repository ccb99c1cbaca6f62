// SPDX-License-Identifier: GPL-2.0
//! The table of floors of a part, as `docs/architecture.md` has it.
//!
//! Below a heading that begins with "Floors of" and names the part's folder in back ticks, each row is one floor: its
//! number, and its folders (with a `/` at the end) and files in back ticks, relative to the part's folder or, with a
//! `/` before them, to the repository. The rows stand in the order of the floors. The most exact entry counts: a file
//! may stand on another floor than its folder.

use anyhow::{ensure, Context, Result};
use std::fmt::{Display, Formatter};

use super::parts::Sources;
use crate::pages::quoted;

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Floor {
    /// How many rows stand before it.
    height: usize,
    /// What the first column calls it: a number, perhaps with a letter.
    label: String,
}

impl Display for Floor {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.label)
    }
}

/// One entry of a row.
struct Entry {
    /// A file or folder, relative to the repository.
    path: String,
    floor: Floor,
}

/// The floors of one part.
pub(super) struct Floors {
    entries: Vec<Entry>,
}

impl Floors {
    /// Reads the table of `part` from `page`; `None` if there is none.
    ///
    /// # Errors
    /// A row cannot be read, or an entry is there twice.
    pub(super) fn read(page: &str, part: &str) -> Result<Option<Self>> {
        let is_heading = |line: &&str| line.starts_with('#');
        let named = format!("`{part}`");
        let mut lines = page.lines().skip_while(|line| {
            !(is_heading(line) && line.contains("Floors of ") && line.contains(&named))
        });
        if lines.next().is_none() {
            return Ok(None);
        }
        let mut entries: Vec<Entry> = Vec::new();
        let rows = lines.take_while(|line| !is_heading(line));
        let rows = rows.filter(|line| line.starts_with('|')).skip(2);
        for (height, row) in rows.enumerate() {
            let found = entries_of(row, part, height);
            for entry in found.with_context(|| format!("floors of {part}: {row}"))? {
                let twice = entries.iter().any(|it| it.path == entry.path);
                ensure!(
                    !twice,
                    "floors of {part}: {} stands on two floors",
                    entry.path
                );
                entries.push(entry);
            }
        }
        ensure!(!entries.is_empty(), "floors of {part}: the table is empty");
        Ok(Some(Self { entries }))
    }

    /// The floor of `file`.
    pub(super) fn of(&self, file: &str) -> Option<&Floor> {
        let fitting = self.entries.iter().filter(|entry| entry.holds(file));
        let closest = fitting.max_by_key(|entry| entry.path.len())?;
        Some(&closest.floor)
    }

    /// Entries that no file fits.
    pub(super) fn without_file<'a>(
        &'a self,
        sources: &'a Sources,
    ) -> impl Iterator<Item = &'a str> {
        let stale = |entry: &&Entry| !sources.all().any(|file| entry.holds(file));
        self.entries.iter().filter(stale).map(|entry| &*entry.path)
    }
}

impl Entry {
    fn holds(&self, file: &str) -> bool {
        if self.path.ends_with('/') {
            file.starts_with(&self.path)
        } else {
            file == self.path
        }
    }
}

/// The entries of one row.
fn entries_of(row: &str, part: &str, height: usize) -> Result<Vec<Entry>> {
    let mut cells = row.trim_matches('|').split('|').map(str::trim);
    let label = cells.next().context("no number")?.to_string();
    ensure!(
        label.starts_with(|c: char| c.is_ascii_digit()),
        "no number comes first"
    );
    let floor = Floor { height, label };
    let places = cells.next().context("no folder")?;
    let entry = |name: &str| {
        let path = match name.strip_prefix('/') {
            Some(elsewhere) => elsewhere.to_string(),
            None => format!("{part}/{name}"),
        };
        let floor = floor.clone();
        Entry { path, floor }
    };
    let entries: Vec<Entry> = quoted(places)
        .flat_map(str::split_whitespace)
        .map(entry)
        .collect();
    ensure!(
        !entries.is_empty(),
        "no file or folder stands in back ticks"
    );
    Ok(entries)
}
