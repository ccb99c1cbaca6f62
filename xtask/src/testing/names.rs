// SPDX-License-Identifier: GPL-2.0
//! The names of the tests of a package, read from its sources: a filtered run must not compile what it will not run.

use std::fs;
use std::path::{Path, PathBuf};

/// Full names of the tests below `folder`, as the test runner prints them but for where a crate's root lies: a folder
/// `src` or `tests` at the top is none of the name. Those of files that `keep` does not keep are left out.
pub(crate) fn of(folder: &Path, keep: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for file in files(folder) {
        let relative = file.strip_prefix(folder).unwrap_or(&file);
        if !keep(relative) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        let module = module(relative);
        let its = in_text(&text).into_iter();
        names.extend(its.map(|name| format!("{module}{name}")));
    }
    names
}

/// The path of the module that a file is, with `::` at its end; nothing for the root of a crate.
fn module(file: &Path) -> String {
    let file = file.with_extension("");
    let mut parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    if parts.len() > 1 && matches!(&*parts[0], "src" | "tests") {
        parts.remove(0);
    }
    if parts
        .last()
        .is_some_and(|last| matches!(&**last, "mod" | "lib" | "main"))
    {
        parts.pop();
    }
    parts.iter().map(|part| format!("{part}::")).collect()
}

/// Full names of the tests in the modules that the crate root `main` takes from elsewhere: `#[path = "…"]` before `mod`.
pub(crate) fn by_path(main: &Path) -> Vec<String> {
    let folder = main.parent().unwrap_or(Path::new("."));
    let text = fs::read_to_string(main).unwrap_or_default();
    let mut names = Vec::new();
    let mut path = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            path = rest.strip_suffix("\"]").map(|file| folder.join(file));
        } else if let Some(module) = line
            .strip_prefix("mod ")
            .and_then(|it| it.strip_suffix(';'))
        {
            let Some(file) = path.take() else { continue };
            let text = fs::read_to_string(&file).unwrap_or_default();
            let its = in_text(&text).into_iter();
            names.extend(its.map(|name| format!("{module}::{name}")));
        }
    }
    names
}

/// The claim that `claims!` adds to those it is given.
const ADDED: &str = "script_ends_well_and_linux_says_nothing_unwanted";

/// Functions behind `#[test]`, and the claims of `claims!`, with the inner modules that they are in.
fn in_text(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut is_test, mut in_claims) = (false, false);
    // Inner modules that are open: how far they are indented, and their names.
    let mut modules: Vec<(usize, &str)> = Vec::new();
    for line in text.lines() {
        let code = line.trim();
        let indent = line.len() - line.trim_start().len();
        let path: String = modules
            .iter()
            .map(|(_, name)| format!("{name}::"))
            .collect();
        if let Some(name) = inner_module(code) {
            modules.push((indent, name));
        } else if code == "}" && modules.last().is_some_and(|(at, _)| *at == indent) {
            modules.pop();
        } else if code == "#[test]" {
            is_test = true;
        } else if let (true, Some(name)) = (is_test, function(code)) {
            names.push(format!("{path}{name}"));
            is_test = false;
        }
        let begins = code.strip_prefix("claims!(");
        if let Some(rest) = begins.or(in_claims.then_some(code)) {
            if begins.is_some() {
                names.push(format!("{path}{ADDED}"));
            }
            let list = rest.split_once(": ").map_or(rest, |(_, list)| list);
            in_claims = !code.ends_with(");");
            let words = list.trim_end_matches(");").split(',').map(str::trim);
            names.extend(
                words
                    .filter(|it| is_name(it))
                    .map(|it| format!("{path}{it}")),
            );
        }
    }
    names
}

/// The name in `mod name {`.
fn inner_module(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    rest.strip_prefix("mod ")?.strip_suffix(" {")
}

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
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
            if !path.ends_with("target") {
                found.extend(files(&path));
            }
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
        let text = "claims!(KILL:\n    // group\n    one_claim,\n    another,\n);\nclaims!(X: single);\n#[test]\n\
                    #[ignore = \"long\"]\nfn plain() {}\nmod tests {\n    mod deep {\n        claims!(Y:\n            \
                    claim,\n        );\n    }\n    #[test]\n    fn inner() {}\n    fn helper() {}\n}\n#[test]\nfn \
                    outer() {}\n";
        let names = in_text(text);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let own = names.iter().filter(|name| !name.ends_with(ADDED));
        let own: Vec<&str> = own.copied().collect();
        assert_eq!(
            own,
            [
                "one_claim",
                "another",
                "single",
                "plain",
                "tests::deep::claim",
                "tests::inner",
                "outer"
            ]
        );
        assert!(names.contains(&format!("tests::deep::{ADDED}").as_str()));
        assert_eq!(module(Path::new("a/mod.rs")), "a::");
        assert_eq!(module(Path::new("a/b.rs")), "a::b::");
        assert_eq!(module(Path::new("lib.rs")), "");
        assert_eq!(module(Path::new("src/a/b.rs")), "a::b::");
        assert_eq!(module(Path::new("walk.rs")), "walk::");
    }

    #[test]
    fn claims_of_inner_modules_are_found() {
        let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/boot/main.rs");
        let names = by_path(&main);
        let inner = |name: &String| name.starts_with("files::") && name.matches("::").count() == 2;
        assert!(names.iter().any(inner), "{names:?}");
        assert!(names.len() > 500, "{}", names.len());
    }

    #[test]
    fn this_very_test_is_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let name = "testing::names::tests::this_very_test_is_found".to_string();
        assert!(of(&here, |_| true).contains(&name));
        assert!(!of(&here, |file| !file.ends_with("names.rs")).contains(&name));
    }
}
