// SPDX-License-Identifier: GPL-2.0
//! The names of the tests of a package, read from its sources: a filtered run must not compile what it will not run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::claims::{self, Claim};

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
        let its = in_text(&text, &relative_claims(&file)).into_iter();
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
            let its = in_text(&text, &relative_claims(&file)).into_iter();
            names.extend(its.map(|name| format!("{module}::{name}")));
        }
    }
    names
}

/// Reads the claims of a source that lies beside `file`: of a script `x.py`, or of the program `x`.
fn relative_claims(file: &Path) -> impl Fn(&str) -> Vec<Claim> {
    let folder = file.parent().unwrap_or(Path::new(".")).to_path_buf();
    move |source| claims::named(&folder, source)
}

/// The claim that `claims!` adds to those that are not long.
const ADDED: &str = "script_ends_well_and_linux_says_nothing_unwanted";

/// Functions behind `#[test]`, and the claims of `claims!` and `programs!`, with the inner modules that they are in.
fn in_text(text: &str, claims_of: &impl Fn(&str) -> Vec<Claim>) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    // Inner modules that are open: how far they are indented, and their names.
    let mut modules: Vec<(usize, &str)> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
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
        } else if let Some(begin) = macro_of_claims(code) {
            let mut list = begin.to_string();
            while !list.ends_with(");") {
                let Some(next) = lines.next() else { break };
                list += next.trim();
            }
            let its = in_macro(&list, claims_of).into_iter();
            names.extend(its.map(|name| format!("{path}{name}")));
        }
    }
    names
}

/// What follows the parenthesis of `claims!(` or `programs!(`.
fn macro_of_claims(code: &str) -> Option<&str> {
    code.strip_prefix("claims!(")
        .or_else(|| code.strip_prefix("programs!("))
}

/// The tests of `REPORTS: "SOURCE", …`; behind the word `long`, only those that are long.
fn in_macro(list: &str, claims_of: &impl Fn(&str) -> Vec<Claim>) -> Vec<String> {
    let (reports, sources) = list.split_once(':').unwrap_or(("", list));
    let only_long = reports.starts_with("long ");
    let sources = sources.split('"').skip(1).step_by(2);
    let claims = sources
        .flat_map(claims_of)
        .filter(|claim| claim.long.is_some() || !only_long);
    let added = (!only_long).then(|| ADDED.to_string());
    claims.map(|claim| claim.name).chain(added).collect()
}

/// The name in `mod name {`.
fn inner_module(code: &str) -> Option<&str> {
    let rest = code.strip_prefix("pub ").unwrap_or(code);
    rest.strip_prefix("mod ")?.strip_suffix(" {")
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
        let text = "claims!(KILL: \"kill.py\");\nclaims!(long X: \"kill.py\");\n#[test]\n\
                    #[ignore = \"long\"]\nfn plain() {}\nmod tests {\n    mod deep {\n        programs!(Y:\n            \
                    \"one\",\n            \"two\",\n        );\n    }\n    #[test]\n    fn inner() {}\n    \
                    fn helper() {}\n}\n#[test]\nfn outer() {}\n";
        let claim = |name: &str, long: Option<&str>| Claim {
            name: name.into(),
            long: long.map(Into::into),
        };
        let claims_of = |source: &str| match source {
            "kill.py" => vec![claim("short", None), claim("lasting", Some("why"))],
            program => vec![claim(program, None)],
        };
        let expected = [
            "short",
            "lasting",
            ADDED,
            "lasting",
            "plain",
            "tests::deep::one",
            "tests::deep::two",
            &format!("tests::deep::{ADDED}"),
            "tests::inner",
            "outer",
        ];
        assert_eq!(in_text(text, &claims_of), expected);
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
