// SPDX-License-Identifier: GPL-2.0
//! Mirrors a source folder into a build folder, leaving alone what the build itself makes there.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where the build folder remembers what was copied into it.
const MANIFEST: &str = ".synced";

/// Makes every file of `from` appear in `to` with the same time of modification; files copied earlier and since removed
/// from `from` go. Files whose content is the same are not touched, so that make has nothing to do. Returns a key of
/// the whole content.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn sync(from: &Path, to: &Path) -> Result<String> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    let files = list(from)?;
    let manifest = to.join(MANIFEST);
    let before = fs::read_to_string(&manifest).unwrap_or_default();
    for gone in before
        .lines()
        .map(PathBuf::from)
        .filter(|path| !files.contains(path))
    {
        let _ = fs::remove_file(to.join(gone));
    }
    let mut hash = Sha256::new();
    for file in &files {
        let content = copy(&from.join(file), &to.join(file))?;
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update(content.len().to_le_bytes());
        hash.update(content);
    }
    let lines: Vec<String> = files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(&manifest, lines.join("\n"))?;
    Ok(format!("{:x}", hash.finalize()))
}

fn copy(from: &Path, to: &Path) -> Result<Vec<u8>> {
    let content = fs::read(from).with_context(|| from.display().to_string())?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(content);
    }
    fs::create_dir_all(to.parent().context("no folder")?)?;
    fs::write(to, &content).with_context(|| to.display().to_string())?;
    let modified = from.metadata()?.modified()?;
    File::options()
        .write(true)
        .open(to)?
        .set_modified(modified)?;
    Ok(content)
}

/// All files below `folder`, relative to it; build output and cargo's own folders are not sources.
fn list(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(relative) = pending.pop() {
        for entry in fs::read_dir(folder.join(&relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                if entry.file_name() != "target" && entry.file_name() != "tools" {
                    pending.push(path);
                }
            } else {
                files.insert(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_changes_and_removals_but_keeps_build_output() {
        let base = std::env::temp_dir().join(format!("xtask-sync-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::write(from.join("a"), "1").unwrap();
        fs::write(from.join("sub/b"), "2").unwrap();
        let first = sync(&from, &to).unwrap();
        fs::write(to.join("a.o"), "object").unwrap();
        fs::remove_file(from.join("sub/b")).unwrap();
        fs::write(from.join("a"), "3").unwrap();
        assert_ne!(sync(&from, &to).unwrap(), first);
        assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "3");
        assert!(!to.join("sub/b").exists());
        assert!(to.join("a.o").exists());
        fs::remove_dir_all(base).unwrap();
    }
}
