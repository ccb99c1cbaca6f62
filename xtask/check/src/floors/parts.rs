// SPDX-License-Identifier: GPL-2.0
//! The parts of the workspace, and the text of all their files.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The folders of the parts.
pub(super) const PARTS: [&str; 8] = [
    "cokernel/src",
    "mcexec/src",
    "mcctrl",
    "ihk-linux",
    "ihk-linux/tools/src",
    "xtask/src",
    "xtask/bench/src",
    "xtask/check/src",
];

/// The contract, which parts that cargo does not build include by path.
const INCLUDED: [&str; 1] = ["ihk-ikc/src"];

/// Roots of crates, relative to the folder of their part. The first crate may be imported by the others.
const ROOTS: [&str; 4] = ["lib.rs", "main.rs", "mcctrl.rs", "ihk.rs"];

/// Text by path relative to the repository.
#[derive(Default)]
pub(crate) struct Sources(BTreeMap<String, String>);

impl Sources {
    /// Reads the parts of the clone at `root`.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut sources = Self::default();
        for part in PARTS.iter().chain(&INCLUDED) {
            sources.read_folder(root, part)?;
            let package = part.strip_suffix("/src").unwrap_or(part);
            let manifest = format!("{package}/Cargo.toml");
            let text = fs::read_to_string(root.join(&manifest)).unwrap_or_default();
            sources.0.insert(manifest, text);
        }
        Ok(sources)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<()> {
        let path = root.join(folder);
        for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let entry = entry?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                // A folder with a manifest is a package of its own.
                if !entry.path().join("Cargo.toml").exists() {
                    self.read_folder(root, &name)?;
                }
            } else if is_source(&name) {
                let text = fs::read_to_string(entry.path()).with_context(|| name.clone())?;
                self.0.insert(name, text);
            }
        }
        Ok(())
    }

    /// The text of `file`.
    pub(super) fn get(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    /// All Rust files.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        let files = self.0.keys().map(String::as_str);
        files.filter(|file| is_source(file))
    }

    /// All Rust files of `part`, but not those of another part within its folder.
    pub(super) fn of(&self, part: &str) -> Vec<&str> {
        let below = |file: &str, part: &str| {
            file.strip_prefix(part)
                .is_some_and(|it| it.starts_with('/'))
        };
        let inner = |file: &str| {
            PARTS
                .iter()
                .any(|other| other.len() > part.len() && below(file, other))
        };
        self.all()
            .filter(|file| below(file, part) && !inner(file))
            .collect()
    }

    /// The roots of `part`'s crates: the library first, then the programs.
    pub(super) fn roots(&self, part: &str) -> Vec<String> {
        let named = ROOTS.iter().map(|root| format!("{part}/{root}"));
        let mut roots: Vec<String> = named.filter(|root| self.0.contains_key(root)).collect();
        // A module of Linux may have a manifest besides, which makes a second crate of some of its files, for tests.
        let manifest = self.get(&format!("{part}/Cargo.toml")).unwrap_or_default();
        let second = manifest
            .lines()
            .find_map(|line| line.strip_prefix("path = "));
        roots.extend(second.map(|root| format!("{part}/{}", root.trim_matches('"'))));
        let programs = format!("{part}/bin/");
        let programs = self.0.keys().filter(|file| file.starts_with(&programs));
        roots.extend(programs.cloned());
        roots
    }

    /// The name of the package, by which programs of `part` import its library.
    pub(super) fn package(&self, part: &str) -> Option<String> {
        let manifest = self.get(&format!("{}/Cargo.toml", part.strip_suffix("/src")?))?;
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = "))?;
        Some(name.trim_matches('"').replace('-', "_"))
    }
}

/// Bindings that Kbuild generates are Linux's, not the part's.
fn is_source(file: &str) -> bool {
    file.ends_with(".rs") && !file.ends_with("/extra_bindings.rs")
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Sources {
    fn from(files: [(&str, &str); N]) -> Self {
        let own = files.map(|(file, text)| (file.to_string(), text.to_string()));
        Self(own.into())
    }
}
