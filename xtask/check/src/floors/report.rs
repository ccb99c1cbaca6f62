// SPDX-License-Identifier: GPL-2.0
//! The output of `cargo xtask floors`: the imports of a file, or a part's circles and upward imports.

use anyhow::{ensure, Result};
use std::fmt::Write;
use std::path::Path;

use super::imports::Import;
use super::parts::PARTS;
use super::{circles, Sources, Survey};

/// What is wanted.
pub(crate) struct Query<'a> {
    /// The root of the clone.
    pub(crate) root: &'a Path,
    /// The page with the tables.
    pub(crate) page: &'a Path,
    /// The end of a part's folder name; all parts if there is none.
    pub(crate) part: Option<&'a str>,
    /// The end of the name of a file whose imports are wanted.
    pub(crate) from: Option<&'a str>,
    /// The end of the name of a file whose importers are wanted.
    pub(crate) to: Option<&'a str>,
}

impl Query<'_> {
    /// The answer, and whether nothing is wrong.
    ///
    /// # Errors
    /// A file or table cannot be read, or no part has that name.
    pub(crate) fn answer(&self) -> Result<(String, bool)> {
        let sources = Sources::read(self.root)?;
        let page = std::fs::read_to_string(self.page)?;
        let parts = self.parts()?;
        let (mut text, mut is_good) = (String::new(), true);
        for part in parts {
            let survey = Survey::new(&sources, part, &page)?;
            is_good &= survey.faults(&sources).is_empty();
            if self.from.is_some() || self.to.is_some() {
                survey.print_imports(&mut text, self)?;
            } else {
                survey.print(&mut text, &sources)?;
            }
        }
        Ok((text, is_good))
    }

    fn parts(&self) -> Result<Vec<&'static str>> {
        let Some(wanted) = self.part else {
            return Ok(PARTS.to_vec());
        };
        let wanted = wanted.trim_end_matches('/');
        let fits = |part: &&&str| {
            let short = part.strip_suffix("/src").unwrap_or(part);
            [**part, short, short.rsplit('/').next().unwrap_or(short)].contains(&wanted)
        };
        let parts: Vec<_> = PARTS.iter().filter(fits).copied().collect();
        ensure!(
            !parts.is_empty(),
            "no part {wanted}; there are {}",
            PARTS.join(" ")
        );
        Ok(parts)
    }
}

impl Survey {
    /// Circles, what would break them, and what is wrong with floors.
    fn print(&self, text: &mut String, sources: &Sources) -> std::fmt::Result {
        let sizes: Vec<_> = self.circles.iter().map(|it| it.len().to_string()).collect();
        let sizes = if sizes.is_empty() {
            "none".into()
        } else {
            sizes.join(" ")
        };
        writeln!(
            text,
            "{}: {} files, circles of imports: {sizes}",
            self.part,
            sources.of(&self.part).len()
        )?;
        for circle in &self.circles {
            writeln!(text, "  circle of {} files:", circle.len())?;
            for &file in circle {
                writeln!(text, "    {}", self.label(file))?;
            }
            let cut = circles::cut(circle, &self.imports);
            writeln!(text, "  broken without these {} imports:", cut.len())?;
            for (from, to) in cut {
                writeln!(text, "    {}", self.pair(from, to))?;
            }
        }
        for line in self.misplaced(sources) {
            writeln!(text, "  {line}")?;
        }
        if self.floors.is_none() {
            return writeln!(text, "  no table of floors");
        }
        let upward = self.upward();
        writeln!(text, "  {} imports run upwards", upward.len())?;
        for line in upward {
            writeln!(text, "    {line}")?;
        }
        Ok(())
    }

    /// Imports of or from one file.
    fn print_imports(&self, text: &mut String, query: &Query<'_>) -> std::fmt::Result {
        let ends = |file: usize, end: Option<&str>| {
            end.is_none_or(|end| {
                let rest = self.tree.files[file].strip_suffix(end);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
            })
        };
        let wanted = |it: &&Import| ends(it.from, query.from) && ends(it.to, query.to);
        for import in self.imports.iter().filter(wanted) {
            let (from, to) = (self.label(import.from), self.label(import.to));
            writeln!(text, "{from}:{} {to} {}", import.line, import.path)?;
        }
        Ok(())
    }

    /// The file's name and floor.
    fn label(&self, file: usize) -> String {
        let name = &self.tree.files[file];
        match self.floors.as_ref().and_then(|floors| floors.of(name)) {
            Some(floor) => format!("[{floor}] {name}"),
            None => name.clone(),
        }
    }

    /// All lines by which one file imports another.
    fn pair(&self, from: usize, to: usize) -> String {
        let imports = self.imports.iter();
        let lines = imports.filter(|it| (it.from, it.to) == (from, to));
        let lines: Vec<_> = lines.map(|it| format!("{} {}", it.line, it.path)).collect();
        format!(
            "{} -> {}: {}",
            self.label(from),
            self.label(to),
            lines.join(", ")
        )
    }
}
