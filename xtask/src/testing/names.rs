// SPDX-License-Identifier: GPL-2.0
//! The names of the tests of a package, read from its sources: a filtered run must not compile what it will not run.

use std::fs;
use std::path::{Path, PathBuf};

/// Full names of the tests below `folder`, a package's `src`, `tests` or the like, as the test runner prints them; those
/// of files that `keep` does not keep are left out.
pub(crate) fn of(folder: &Path, keep: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for file in files(folder) {
        let relative = file.strip_prefix(folder).unwrap_or(&file);
        if !keep(relative) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        let module = module(relative);
        names.extend(
            in_text(&text)
                .into_iter()
                .map(|name| format!("{module}{name}")),
        );
    }
    names
}

/// The path of the module that a file is, with `::` at its end; nothing for the root of a crate.
fn module(file: &Path) -> String {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let last = parts.last().map(String::as_str);
    if matches!(last, Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts.iter().map(|part| format!("{part}::")).collect()
}

/// Functions behind `#[test]`, and the claims of `claims!`; those of an inner module `tests` with its name.
fn in_text(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut is_test, mut in_claims, mut prefix) = (false, false, "");
    for line in text.lines() {
        let code = line.trim();
        if line.starts_with("mod tests {") {
            prefix = "tests::";
        } else if code == "#[test]" {
            is_test = true;
        } else if line.starts_with("claims!(") {
            in_claims = true;
        } else if in_claims {
            in_claims = !code.starts_with(')');
            if let Some(name) = code.strip_suffix(',') {
                names.push(name.to_string());
            }
        } else if let (true, Some(name)) = (is_test, function(code)) {
            names.push(format!("{prefix}{name}"));
            is_test = false;
        }
    }
    names
}

/// The name in `fn name(`.
fn function(code: &str) -> Option<&str> {
    let rest = code
        .strip_prefix("fn ")
        .or_else(|| code.strip_prefix("async fn "))?;
    Some(rest.split_once('(')?.0)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_claims_are_found_with_their_modules() {
        let text = "claims!(KILL:\n    // group\n    one_claim,\n    another,\n);\n#[test]\n#[ignore = \"long\"]\nfn \
                    plain() {}\nmod tests {\n    #[test]\n    fn inner() {}\n    fn helper() {}\n}\n";
        assert_eq!(
            in_text(text),
            ["one_claim", "another", "plain", "tests::inner"]
        );
        assert_eq!(module(Path::new("a/mod.rs")), "a::");
        assert_eq!(module(Path::new("a/b.rs")), "a::b::");
        assert_eq!(module(Path::new("lib.rs")), "");
    }

    #[test]
    fn this_very_test_is_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let name = "testing::names::tests::this_very_test_is_found".to_string();
        assert!(of(&here, |_| true).contains(&name));
        assert!(!of(&here, |file| !file.ends_with("names.rs")).contains(&name));
    }
}
