// SPDX-License-Identifier: GPL-2.0
//! Small made-up parts, and what must be found in them.

use super::{circles, Import, Sources, Survey};

/// Three floors: `low`, `middle` and `high`.
const PAGE: &str = "\
# Page

## Floors of `mcexec/src`

| # | where | what |
|---|---|---|
| 1 | `low.rs low/` | lowest |
| 2 | `middle.rs` `middle/` | between |
| 3 | `high.rs high/ main.rs` | highest |

## Something else

| 4 | `low.rs` | no floor |
";

const MAIN: &str = "mod low; mod middle; mod high;";

fn survey(sources: &Sources) -> Survey {
    Survey::new(sources, "mcexec/src", PAGE).unwrap()
}

/// The upward imports of a part whose three files have these texts.
fn upward(low: &str, middle: &str, high: &str) -> Vec<String> {
    let sources = Sources::from([
        ("mcexec/src/main.rs", MAIN),
        ("mcexec/src/low.rs", low),
        ("mcexec/src/middle.rs", middle),
        ("mcexec/src/high.rs", high),
    ]);
    survey(&sources).upward()
}

/// What is said of an import of `high.rs` in line `line` of `low.rs`.
fn low_to_high(line: usize) -> Vec<String> {
    vec![format!(
        "mcexec/src/low.rs:{line} (floor 1) imports mcexec/src/high.rs (floor 3)"
    )]
}

const HIGH: &str = "pub struct Thing; pub mod inner { pub fn act() {} } pub fn act() {}";

#[test]
fn imports_of_lower_floors_are_not_reported() {
    let high = "use crate::{low::small, middle}; fn act() { middle::act(); small(); }";
    assert!(upward("pub fn small() {}", "pub fn act() {}", high).is_empty());
}

#[test]
fn a_re_export_does_not_hide_an_upward_import() {
    let middle = "pub use crate::high::Thing as Other;";
    let found = upward("\nuse crate::middle::Other;", middle, HIGH);
    assert_eq!(found[0], low_to_high(2)[0]);
    assert!(found[1].starts_with("mcexec/src/middle.rs:1 (floor 2)"));
    assert_eq!(found.len(), 2);
}

#[test]
fn a_re_export_by_glob_does_not_hide_an_upward_import() {
    let found = upward("use crate::middle::Thing;", "pub use crate::high::*;", HIGH);
    assert_eq!(found[0], low_to_high(1)[0]);
}

#[test]
fn names_that_a_glob_brings_are_imports() {
    let found = upward(
        "use crate::middle::*;\nfn f() -> Thing { loop {} }",
        "pub use crate::high::Thing;",
        HIGH,
    );
    assert!(found.contains(&low_to_high(2)[0]), "{found:?}");
}

#[test]
fn inline_paths_are_imports() {
    let expression = "fn f() {\n    crate::high::act();\n}";
    assert_eq!(upward(expression, "", HIGH), low_to_high(2));
    let of_type = "struct S {\n\n    it: Option<crate::high::Thing>,\n}";
    assert_eq!(upward(of_type, "", HIGH), low_to_high(3));
    let of_bound = "fn f<T>() where T: super::high::Thing {}";
    assert_eq!(upward(of_bound, "", HIGH), low_to_high(1));
    let of_pattern = "fn f(x: u8) { match x { crate::high::LIMIT => {} _ => {} } }";
    assert_eq!(upward(of_pattern, "", HIGH), low_to_high(1));
}

#[test]
fn super_of_super_is_followed() {
    let sources = Sources::from([
        ("mcexec/src/main.rs", MAIN),
        ("mcexec/src/low/mod.rs", "mod deep;"),
        (
            "mcexec/src/low/deep.rs",
            "use super::super::high::Thing;\nuse super::Own;",
        ),
        ("mcexec/src/middle.rs", ""),
        ("mcexec/src/high.rs", HIGH),
    ]);
    let survey = survey(&sources);
    assert_eq!(
        survey.upward(),
        ["mcexec/src/low/deep.rs:1 (floor 1) imports mcexec/src/high.rs (floor 3)"]
    );
    // An item of the folder's own file counts as that file, also if a macro makes it.
    let to = |import: &Import| survey.tree.files[import.to].as_str();
    assert!(survey
        .imports
        .iter()
        .any(|it| to(it) == "mcexec/src/low/mod.rs"));
}

#[test]
fn nested_groups_and_self_are_followed() {
    let low = "use crate::{\n    middle::{self, act},\n    high::{inner::{self as other, act as again}},\n};";
    assert_eq!(
        upward(low, "pub fn act() {}", HIGH),
        [
            "mcexec/src/low.rs:2 (floor 1) imports mcexec/src/middle.rs (floor 2)",
            "mcexec/src/low.rs:2 (floor 1) imports mcexec/src/middle.rs (floor 2)",
            "mcexec/src/low.rs:3 (floor 1) imports mcexec/src/high.rs (floor 3)",
            "mcexec/src/low.rs:3 (floor 1) imports mcexec/src/high.rs (floor 3)",
        ]
    );
}

#[test]
fn arguments_of_macros_are_read() {
    let low = "fn f() {\n    println!(\"{}\", [crate::high::act()]);\n}";
    assert_eq!(upward(low, "", HIGH), low_to_high(2));
    let body = "macro_rules! m {\n    () => { $crate::high::act::<u8>() };\n}";
    assert_eq!(upward(body, "", HIGH), low_to_high(2));
    let other_crate = "fn f() { m!(::high::act(), name: ::high::Thing, x.high, high: high) }";
    assert!(upward(other_crate, "", HIGH).is_empty());
}

#[test]
fn exported_macros_belong_to_the_file_that_defines_them() {
    let high = "#[macro_export]\nmacro_rules! say { () => {} }";
    assert_eq!(
        upward("fn f() { crate::say!(); }", "", high),
        low_to_high(1)
    );
    assert_eq!(
        upward("use crate::say;\nfn f() { say!(); }", "", high),
        low_to_high(1)
    );
}

#[test]
fn items_of_tests_do_not_count() {
    let low = "
        #[cfg(test)] mod tests { use crate::high::Thing; }
        #[cfg(all(test, not(loom)))] use crate::high::Thing;
        #[test] fn f() { crate::high::act(); }
        struct S;
        impl S { #[cfg(test)] fn f() { crate::high::act(); } }
        fn g() { #[cfg(test)] let x = crate::high::act(); }
    ";
    assert!(upward(low, "", HIGH).is_empty());
    let other = "#[cfg(not(test))] use crate::high::Thing;";
    assert_eq!(upward(other, "", HIGH), low_to_high(1));
    let unknown = "#[cfg(any(test, target_os = \"none\"))] use crate::high::Thing;";
    assert_eq!(upward(unknown, "", HIGH), low_to_high(1));
}

#[test]
fn aliases_of_modules_are_followed() {
    let sources = Sources::from([
        ("mcexec/src/main.rs", MAIN),
        (
            "mcexec/src/low.rs",
            "use crate::high as other;\nfn f() { use other as third;\n third::deep::act(); }",
        ),
        ("mcexec/src/middle.rs", ""),
        ("mcexec/src/high/mod.rs", "pub mod deep;"),
        ("mcexec/src/high/deep.rs", "pub fn act() {}"),
    ]);
    assert_eq!(
        survey(&sources).upward(),
        ["mcexec/src/low.rs:3 (floor 1) imports mcexec/src/high/deep.rs (floor 3)"]
    );
}

#[test]
fn a_folder_does_not_import_what_it_only_shows() {
    let sources = Sources::from([
        ("mcexec/src/main.rs", "mod low; mod middle; mod high;"),
        (
            "mcexec/src/low/mod.rs",
            "mod deep; mod used; pub use deep::Deep; pub(crate) use used::Used; pub struct Own(Used);",
        ),
        ("mcexec/src/low/deep.rs", "pub struct Deep(super::Own);"),
        ("mcexec/src/low/used.rs", "pub struct Used;"),
        ("mcexec/src/middle.rs", ""),
        ("mcexec/src/high.rs", "use crate::low::Deep;"),
    ]);
    let survey = survey(&sources);
    let imports = survey.imports.iter();
    let name = |file: usize| survey.tree.files[file].strip_prefix("mcexec/src/").unwrap();
    let pairs: Vec<_> = imports.map(|it| (name(it.from), name(it.to))).collect();
    assert_eq!(
        pairs,
        [
            ("low/mod.rs", "low/used.rs"),
            ("low/deep.rs", "low/mod.rs"),
            ("high.rs", "low/deep.rs"),
        ]
    );
    assert_eq!(survey.largest(), 1);
}

#[test]
fn modules_with_a_path_are_followed() {
    let sources = Sources::from([
        ("mcctrl/mcctrl.rs", "mod fault; mod ffi; #[path = \"../ihk-ikc/src/proto/mod.rs\"] mod proto;"),
        ("mcctrl/fault.rs", "use crate::proto::packet::Word; use crate::ffi::lock;"),
        ("mcctrl/ffi/mod.rs", "#[path = \"../../ihk-linux/ffi/lock.rs\"] pub(crate) mod lock; #[path = \"../extra_bindings.rs\"] mod made;"),
        (
            "ihk-linux/ffi/lock.rs",
            "use crate::fault::f; use super::made::generated;",
        ),
        ("ihk-ikc/src/proto/mod.rs", "pub mod packet;"),
        ("ihk-ikc/src/proto/packet.rs", "pub struct Word;"),
    ]);
    let survey = Survey::new(&sources, "mcctrl", "").unwrap();
    let name = |file: usize| survey.tree.files[file].as_str();
    let circle: Vec<_> = survey.circles[0].iter().map(|&file| name(file)).collect();
    assert_eq!(circle, ["mcctrl/fault.rs", "ihk-linux/ffi/lock.rs"]);
    // What is generated is imported from nowhere.
    let to_folder = |it: &&Import| name(it.to) == "mcctrl/ffi/mod.rs";
    assert_eq!(survey.imports.iter().filter(to_folder).count(), 0);
    assert!(survey
        .imports
        .iter()
        .any(|it| name(it.to) == "ihk-ikc/src/proto/packet.rs"));
}

#[test]
fn programs_import_the_library_of_their_package() {
    let sources = Sources::from([
        ("mcexec/Cargo.toml", "name = \"some-tools\"\n"),
        ("mcexec/src/lib.rs", "pub mod low; pub mod high;"),
        ("mcexec/src/low.rs", "pub fn f() {}"),
        ("mcexec/src/high.rs", ""),
        (
            "mcexec/src/bin/tool.rs",
            "fn main() { some_tools::low::f(); }",
        ),
    ]);
    let survey = Survey::new(&sources, "mcexec/src", "").unwrap();
    assert_eq!(survey.imports.len(), 1);
    assert_eq!(survey.tree.files[survey.imports[0].to], "mcexec/src/low.rs");
}

#[test]
fn every_file_needs_a_floor_and_every_entry_a_file() {
    let sources = Sources::from([
        (
            "mcexec/src/main.rs",
            "mod low; mod high; mod lost; #[cfg(test)] mod tests;",
        ),
        ("mcexec/src/tests.rs", "use crate::high::f;"),
        ("mcexec/src/low.rs", ""),
        ("mcexec/src/high.rs", ""),
        ("mcexec/src/lost.rs", ""),
        ("mcexec/src/high/forgotten.rs", ""),
    ]);
    let faults = survey(&sources).faults(&sources).join("\n");
    assert!(faults.contains("mcexec/src/high/forgotten.rs is no module"));
    assert!(faults.contains("mcexec/src/lost.rs is on no floor"));
    assert!(faults.contains("no mcexec/src/middle.rs"));
    assert!(!faults.contains("high.rs is"), "{faults}");
    assert!(!faults.contains("tests.rs"), "{faults}");
}

#[test]
fn rows_that_cannot_be_read_and_places_on_two_floors_are_faults() {
    let sources = Sources::from([("mcexec/src/main.rs", "")]);
    for wrong in [
        "| x | `main.rs` |",
        "| 1 | main.rs |",
        "| 1 | `main.rs` |\n| 2 | `main.rs` |",
        "",
    ] {
        let page = format!("## Floors of `mcexec/src`\n\n| # | where |\n|---|---|\n{wrong}\n");
        assert!(
            Survey::new(&sources, "mcexec/src", &page).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn large_circles_are_faults_and_can_be_broken() {
    let sources = Sources::from([
        (
            "mcexec/src/main.rs",
            "mod a; mod b; mod c; mod d; mod e; mod f;",
        ),
        ("mcexec/src/a.rs", "use crate::b::act; use crate::c::act;"),
        ("mcexec/src/b.rs", "use crate::c::act;"),
        ("mcexec/src/c.rs", "use crate::d::act;"),
        ("mcexec/src/d.rs", "use crate::e::act;"),
        ("mcexec/src/e.rs", "use crate::f::act;"),
        ("mcexec/src/f.rs", "use crate::a::act;"),
    ]);
    let survey = Survey::new(&sources, "mcexec/src", "").unwrap();
    assert_eq!(survey.largest(), 6);
    let faults = survey.faults(&sources);
    assert_eq!(faults.len(), 1);
    assert!(faults[0].contains("6 files import each other"));
    assert!(faults[0].contains("mcexec/src/c.rs"));
    assert_eq!(circles::cut(&survey.circles[0], &survey.imports).len(), 1);
}
