// SPDX-License-Identifier: GPL-2.0
//! The claims of scripts and guest programs, read from their sources. Their names are typed nowhere else: the build script
//! of `tests`, which includes this file by path, makes the boot tests of them, and a filtered run finds them here.

use std::fs;
use std::path::Path;

/// One claim of a script or program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its name, which is that of its test.
    pub(crate) name: String,
    /// Why it is checked by long runs only, if it is.
    pub(crate) long: Option<String>,
}

/// The claims of a source in the order in which they are checked; none for a file that is neither Python nor C.
pub(crate) fn of(source: &Path) -> Vec<Claim> {
    let text = fs::read_to_string(source).unwrap_or_default();
    match source.extension().and_then(|extension| extension.to_str()) {
        Some("py") => {
            let folder = source.parent().unwrap_or(Path::new("."));
            in_script(&text, |other| named(folder, other))
        }
        Some("c") => in_program(&text),
        _ => Vec::new(),
    }
}

/// The stem of a guest program's file without what says how it is linked: `x` of `x.c`, `x.static.c` and `x.pie.c`.
pub(crate) fn program_name(file: &str) -> Option<&str> {
    let stem = file.strip_suffix(".c")?;
    let linked = stem
        .strip_suffix(".static")
        .or_else(|| stem.strip_suffix(".pie"));
    Some(linked.unwrap_or(stem))
}

/// The claims of a source in `folder`, as Rust and scripts call it: a script's file, or a guest program without its
/// ending. None if there is no such source.
pub(crate) fn named(folder: &Path, source: &str) -> Vec<Claim> {
    if source.ends_with(".py") {
        return of(&folder.join(source));
    }
    let files = ["c", "static.c", "pie.c"].map(|ending| folder.join(format!("{source}.{ending}")));
    files.iter().flat_map(|file| of(file)).collect()
}

/// The functions behind `@claim` and `@long("WHY")`, and what the sources have that the script takes claims from.
fn in_script(text: &str, of_other: impl Fn(&str) -> Vec<Claim>) -> Vec<Claim> {
    let mut claims = Vec::new();
    // Whether the next function is a claim, and why it is a long one.
    let mut decorated: Option<Option<String>> = None;
    for line in text.lines() {
        if line == "@claim" {
            decorated = Some(None);
        } else if let Some(reason) = between(line, "@long(\"", "\")") {
            decorated = Some(Some(reason.to_string()));
        } else if let Some(name) = between(line, "def ", "(") {
            claims.extend(decorated.take().map(|long| Claim {
                name: name.to_string(),
                long,
            }));
        } else if let Some(name) = line.strip_prefix("import ") {
            claims.extend(of_other(&format!("{name}.py")));
        } else if let Some(name) = between(line, "claims_of(\"", "\"") {
            claims.extend(of_other(name));
        }
    }
    claims
}

/// The functions in `CLAIM(name)`, with which a program's table names them.
fn in_program(text: &str) -> Vec<Claim> {
    let names = text
        .lines()
        .filter_map(|line| between(line.trim_start(), "CLAIM(", ")"));
    names
        .map(|name| Claim {
            name: name.to_string(),
            long: None,
        })
        .collect()
}

/// What a line that begins with `start` has between it and the next `end`.
fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(line.strip_prefix(start)?.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, long: Option<&str>) -> Claim {
        Claim {
            name: name.into(),
            long: long.map(Into::into),
        }
    }

    #[test]
    fn claims_of_scripts_are_found_in_their_order() {
        let text =
            "import os\nimport smoke\n\n@claim\ndef first():\n    def inner():\n        pass\n\n\
                    def helper():\n    pass\n\nclaims_of(\"nodes\", both_ways)\n\n\
                    @long(\"ten minutes\")\ndef last(one, two):\n    pass\n";
        let other = |other: &str| match other {
            "smoke.py" => vec![claim("of_smoke", None)],
            "nodes" => vec![claim("of_nodes", None)],
            _ => Vec::new(),
        };
        let expected = [
            claim("of_smoke", None),
            claim("first", None),
            claim("of_nodes", None),
            claim("last", Some("ten minutes")),
        ];
        assert_eq!(in_script(text, other), expected);
    }

    #[test]
    fn claims_of_programs_are_those_of_their_table() {
        let text = "#include \"claims.h\"\nstatic const struct claim claims[] = {\n\tCLAIM(one),\n\tCLAIM(two),\n};\n";
        assert_eq!(in_program(text), [claim("one", None), claim("two", None)]);
    }
}
