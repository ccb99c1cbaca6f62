// SPDX-License-Identifier: GPL-2.0
//! The walk-throughs of contributing.md and the routes of routes.md, replayed: each step's files are there, and its
//! words are found in them.

use anyhow::{ensure, Context, Result};
use std::fs;
use std::path::Path;

use crate::pages;
use xtask::paths;

/// The pages, and how the part with steps begins.
const PAGES: [(&str, &str); 2] = [
    ("docs/contributing.md", "\n## Walk-throughs\n"),
    ("docs/routes.md", "\n## "),
];

/// Fails for each file that a step names and that is not there, and each word that is in none of the step's files.
///
/// # Errors
/// The lines that say so; a page cannot be read, or has no steps.
pub fn check() -> Result<()> {
    let root = paths::repository();
    let mut found = Vec::new();
    for (name, start) in PAGES {
        let page = fs::read_to_string(root.join(name)).context(name)?;
        let (_, part) = page.split_once(start).context(name)?;
        let steps = steps(part);
        ensure!(!steps.is_empty(), "{name}: no steps");
        let faults = steps.iter().flat_map(|step| faults(root, step));
        found.extend(faults.map(|fault| format!("{name}: {fault}")));
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// The items of the numbered lists, each as one line.
fn steps(part: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut inside = false;
    for line in part.lines() {
        let is_first = line.starts_with(|first: char| first.is_ascii_digit());
        inside = is_first || (inside && line.starts_with(' '));
        match steps.last_mut() {
            Some(step) if inside && !is_first => *step += &format!(" {}", line.trim()),
            _ if is_first => steps.push(line.to_string()),
            _ => {}
        }
    }
    steps
}

/// What is wrong with a step, one line each.
fn faults(root: &Path, step: &str) -> Vec<String> {
    let (files, words): (Vec<&str>, Vec<&str>) = pages::quoted(step)
        .filter(|text| !text.contains(' '))
        .partition(|text| pages::is_path(text));
    let mut faults = Vec::new();
    let mut text = String::new();
    for file in &files {
        let path = root.join(file);
        match fs::read_to_string(&path) {
            Ok(content) => text += &content,
            Err(_) if path.is_dir() => {}
            Err(_) => faults.push(format!("{file}: no such file, in: {step}")),
        }
    }
    for word in words {
        if !files.is_empty() && !text.contains(word) {
            faults.push(format!("`{word}` is in none of the files of: {step}"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{faults, steps};

    #[test]
    fn steps_are_the_items_of_lists() {
        let part = "Text.\n\n### A\n\n1. First\n   goes on.\n2. Second.\n\nNo step.\n\n1. Third.\n";
        assert_eq!(
            steps(part),
            ["1. First goes on.", "2. Second.", "1. Third."]
        );
    }

    #[test]
    fn files_are_there_and_words_in_them() {
        let root = std::env::temp_dir().join(format!("walk-throughs-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a")).expect("folder");
        std::fs::write(root.join("a/x.rs"), "fn serve() {}\n").expect("file");
        let found = |step: &str| faults(&root, step).len();
        assert_eq!(
            found("1. See `serve` in `a/x.rs`, of `a/`; run `cargo test`."),
            0
        );
        assert_eq!(found("1. See `server` in `a/x.rs`."), 1);
        assert_eq!(found("1. See `serve` in `a/y.rs`."), 2);
        assert_eq!(found("1. A word alone: `anything`."), 0);
        std::fs::remove_dir_all(root).expect("clean up");
    }
}
