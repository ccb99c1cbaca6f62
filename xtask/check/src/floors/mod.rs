// SPDX-License-Identifier: GPL-2.0
//! Floors: which file imports which, and whether any import runs upwards.
//!
//! Each part is one crate whose files stand on the floors that a table in `docs/architecture.md` names. A file may
//! import files of its own floor and of those with a lower number. The largest circle of imports is limited in every
//! part, with and without a table.
//!
//! | file | what |
//! |---|---|
//! | [`parts`] | the parts, and the text of all their files |
//! | [`modules`] | a part as a tree of modules with their names |
//! | [`uses`] | the names that a `use` item gives |
//! | [`resolve`] | from a path to the file that defines the item |
//! | [`imports`] | all imports of a part |
//! | [`circles`] | circles of imports, and what would break them |
//! | [`table`] | the table of floors |
//! | [`report`] | what `cargo xtask floors` prints |

mod circles;
mod imports;
mod modules;
mod parts;
pub(crate) mod report;
mod resolve;
mod table;
#[cfg(test)]
mod tests;
mod uses;

use anyhow::{ensure, Context, Result};
use std::path::Path;

use imports::Import;
use modules::Tree;
pub(crate) use parts::Sources;
use table::Floors;

use xtask::ui;

/// The page with the tables of floors.
pub(crate) const PAGE: &str = "docs/architecture.md";

/// The largest circle of imports that is allowed.
const LARGEST_CIRCLE: usize = 5;

/// What is known of one part.
struct Survey {
    /// The part's folder.
    part: String,
    tree: Tree,
    imports: Vec<Import>,
    /// The circles, the largest first.
    circles: Vec<Vec<usize>>,
    /// The part's table, if there is one.
    floors: Option<Floors>,
}

impl Survey {
    /// Reads the part in the folder `part`; `page` has the tables.
    fn new(sources: &Sources, part: &str, page: &str) -> Result<Self> {
        let tree = Tree::new(sources, part)?;
        let imports = imports::all(&tree);
        let circles = circles::find(tree.files.len(), &imports);
        let floors = Floors::read(page, part)?;
        Ok(Self {
            part: part.to_string(),
            tree,
            imports,
            circles,
            floors,
        })
    }

    /// The number of files of the largest circle; 1 if there is none.
    fn largest(&self) -> usize {
        self.circles.first().map_or(1, Vec::len)
    }

    /// One line for each import that runs upwards.
    fn upward(&self) -> Vec<String> {
        let Some(floors) = &self.floors else {
            return Vec::new();
        };
        let name = |file: usize| self.tree.files[file].as_str();
        let line = |import: &Import| {
            let (from, to) = (name(import.from), name(import.to));
            let (low, high) = (floors.of(from)?, floors.of(to)?);
            (high > low).then(|| {
                let line = import.line;
                format!("{from}:{line} (floor {low}) imports {to} (floor {high})")
            })
        };
        self.imports.iter().filter_map(line).collect()
    }

    /// One line for each file of the part that is no module, whose imports nobody knows, or is on no floor; and for
    /// each entry of the table without a file.
    fn misplaced(&self, sources: &Sources) -> Vec<String> {
        let mut files = sources.of(&self.part);
        files.retain(|file| !self.tree.tests.contains(*file));
        let unknown = files
            .iter()
            .filter(|&file| !self.tree.files.iter().any(|it| it == file));
        let mut lines: Vec<String> = unknown.map(|file| format!("{file} is no module")).collect();
        let Some(floors) = &self.floors else {
            return lines;
        };
        let homeless = files.iter().filter(|file| floors.of(file).is_none());
        lines.extend(homeless.map(|file| format!("{file} is on no floor of {PAGE}")));
        let stale = floors.without_file(sources);
        lines.extend(stale.map(|entry| format!("{PAGE}: floors of {}: no {entry}", self.part)));
        lines
    }

    /// Everything that is wrong with the part.
    fn faults(&self, sources: &Sources) -> Vec<String> {
        let mut faults = self.misplaced(sources);
        faults.extend(self.upward());
        if self.largest() > LARGEST_CIRCLE {
            let names = self.circles[0].iter().map(|&file| &*self.tree.files[file]);
            faults.push(format!(
                "{}: {} files import each other in a circle, more than {LARGEST_CIRCLE}: {}",
                self.part,
                self.largest(),
                names.collect::<Vec<_>>().join(" ")
            ));
        }
        faults
    }
}

/// Checks all parts of the clone at `root`, and says how large the largest circle of each is.
///
/// # Errors
/// A file cannot be parsed, or the faults, one line each.
pub(crate) fn check(root: &Path) -> Result<()> {
    let sources = Sources::read(root)?;
    let page = std::fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    let mut faults = Vec::new();
    let mut sizes = Vec::new();
    for part in parts::PARTS {
        let survey = Survey::new(&sources, part, &page)?;
        sizes.push(format!("{part} {}", survey.largest()));
        faults.extend(survey.faults(&sources));
    }
    ui::say(&format!("largest circles of imports: {}", sizes.join(", ")));
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}
