// SPDX-License-Identifier: GPL-2.0
//! The page that follows a delegated call names every file on its way, and each of these files says its hop.

use anyhow::{ensure, Context, Result};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::pages;
use xtask::paths;

/// The page.
const PAGE: &str = "docs/route-of-a-delegated-call.md";

/// Where files on the way lie.
const PARTS: [&str; 5] = ["cokernel", "ihk-ikc", "ihk-linux", "mcctrl", "mcexec"];

/// Fails for each file that the page names and that is not there or does not say its hop, and for each file that says a
/// hop and that the page does not name.
///
/// # Errors
/// The lines that say so; a file cannot be read.
pub fn check() -> Result<()> {
    let root = paths::repository();
    let page = fs::read_to_string(root.join(PAGE)).context(PAGE)?;
    let mut heads = BTreeMap::new();
    for part in PARTS {
        collect(root, &root.join(part), &mut heads)?;
    }
    let faults = faults(&page, &heads)?;
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// The first comment of each Rust file below `folder`, by its path from `root`.
fn collect(root: &Path, folder: &Path, heads: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, heads)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            heads.insert(name, head(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// The lines `//! …` at the beginning of a file, as one.
fn head(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with("// "));
    let lines = lines.map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// What is wrong, one line each.
fn faults(page: &str, heads: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (hop, row) in page.lines().filter_map(row) {
        for path in pages::paths(row) {
            let name = if path.ends_with('/') {
                format!("{path}mod.rs")
            } else {
                path.to_string()
            };
            match heads.get(&name) {
                None => faults.push(format!("{PAGE}: hop {hop}: {name}: no such file")),
                Some(head) if !hops(head)?.contains(hop) => {
                    faults.push(format!("{name}: its first lines do not say hop {hop}"));
                }
                Some(_) => {}
            }
        }
    }
    let named: BTreeSet<&str> = pages::paths(page).collect();
    for (name, head) in heads {
        let folder = name.strip_suffix("mod.rs").unwrap_or(name);
        let is_named = named.contains(name.as_str()) || named.contains(folder);
        if !is_named && !hops(head)?.is_empty() {
            faults.push(format!("{name}: says a hop, and {PAGE} does not name it"));
        }
    }
    Ok(faults)
}

/// Number and files of a row of the page's table.
fn row(line: &str) -> Option<(&str, &str)> {
    let (hop, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
    let (files, _) = rest.split_once(" | ")?;
    hop.starts_with(|first: char| first.is_ascii_digit())
        .then_some((hop, files))
}

/// The hops that a comment speaks of: `Hop 5.1 …`, `Hops 4a and 8a …`.
fn hops(head: &str) -> Result<BTreeSet<String>> {
    let list = Regex::new(r"[Hh]ops? ((?:[0-9][0-9a-z.]*(?:, | and )?)+)")?;
    let number = Regex::new(r"[0-9]+(?:\.[0-9]+|[a-z])?")?;
    let lists = list.captures_iter(head);
    let numbers = lists.flat_map(|found| {
        let numbers: Vec<String> = number
            .find_iter(found.get(1).map_or("", |it| it.as_str()))
            .map(|it| it.as_str().into())
            .collect();
        numbers
    });
    Ok(numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::{faults, head, hops};
    use std::collections::BTreeMap;

    const PAGE: &str = "| hop | file | what |\n|---|---|---|\n| 1 | `a/x.rs`, `a/y/` | begins; see `b/z.rs` |\n| 4a | `b/z.rs` | only then |\n\nAlso `b/w.rs`.\n";

    fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        let files = files.iter();
        files
            .map(|(name, text)| ((*name).into(), head(text)))
            .collect()
    }

    #[test]
    fn page_and_files_that_agree_have_no_fault() {
        let files = tree(&[
            ("a/x.rs", "// SPDX\n//! Hop 1 of a call.\nuse x;"),
            ("a/y/mod.rs", "//! Takes part: hops 1\n//! and 4a.\n"),
            ("b/z.rs", "//! Hops 4a and 8a of a call."),
            ("b/w.rs", "//! Hop 6 asks it."),
            ("b/other.rs", "//! Nothing.\n\n//! Hop 9."),
        ]);
        assert_eq!(
            faults(PAGE, &files).expect("patterns"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_disagreement_is_a_fault() {
        let files = tree(&[
            ("a/x.rs", "//! Hop 11 of a call."),
            ("b/z.rs", "//! Hop 4 of a call."),
            ("b/unnamed.rs", "//! Hop 2."),
        ]);
        let found = faults(PAGE, &files).expect("patterns").join("\n");
        assert_eq!(found.lines().count(), 4, "{found}");
        assert!(
            found.contains("a/x.rs: its first lines do not say hop 1\n"),
            "{found}"
        );
        assert!(found.contains("hop 1: a/y/mod.rs: no such file"), "{found}");
        assert!(
            found.contains("b/z.rs: its first lines do not say hop 4a"),
            "{found}"
        );
        assert!(found.contains("b/unnamed.rs: says a hop"), "{found}");
    }

    #[test]
    fn hops_are_numbers_with_a_letter_or_a_part() {
        let found = hops("Hops 4a, 5.1 and 8 of a call. Then hop 6.3, which").expect("patterns");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["4a", "5.1", "6.3", "8"]
        );
    }
}
