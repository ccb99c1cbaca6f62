// SPDX-License-Identifier: GPL-2.0
//! Reads the claims of all scripts and guest programs, and writes the macros that make tests of them: `claims!`, which
//! `boot/script.rs` explains, and `names!("SCRIPT.py")`, the names of all claims of a script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../xtask/src/claims.rs"]
mod claims;

use claims::Claim;

fn main() {
    let sources = sources(Path::new("."));
    let text = format!("{}\n{}", claims_macro(&sources), names_macro(&sources));
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR"));
    fs::write(folder.join("claims.rs"), text).expect("claims.rs");
}

/// The claims of every source that has any, by the name that Rust calls it: a script's file, a program without its ending.
fn sources(tests: &Path) -> BTreeMap<String, Vec<Claim>> {
    let mut found = BTreeMap::new();
    for theme in fs::read_dir(tests).expect("themes").flatten() {
        for source in fs::read_dir(theme.path()).into_iter().flatten().flatten() {
            let file = source.file_name().to_string_lossy().into_owned();
            let claims = claims::of(&source.path());
            if !claims.is_empty() {
                let name = claims::program_name(&file).unwrap_or(&file);
                let before = found.insert(name.to_string(), claims);
                assert!(before.is_none(), "two sources are called {name}");
            }
        }
    }
    found
}

/// `claims!` gathers the claims of its sources one after the other and gives them to `tests!`.
fn claims_macro(sources: &BTreeMap<String, Vec<Claim>>) -> String {
    let mut text = "macro_rules! claims {\n".to_string();
    for (name, claims) in sources {
        let (mut short, mut long) = (String::new(), String::new());
        for claim in claims {
            let name = &claim.name;
            let _ = match &claim.long {
                None => write!(short, " {name}"),
                Some(reason) => write!(long, " ({name} \"long: {reason}\")"),
            };
        }
        let _ = writeln!(
            text,
            "    (@ $who:tt [$($short:tt)*] [$($long:tt)*] {name:?} $($rest:tt)*) => {{\n        \
             claims! {{ @ $who [$($short)*{short}] [$($long)*{long}] $($rest)* }}\n    }};"
        );
    }
    text += "    (@ $who:tt $short:tt $long:tt) => { tests! { $who $short $long } };\n    \
             (long $long:ident: $($source:tt),+ $(,)?) => { claims! { @ [long $long] [] [] $($source)+ } };\n    \
             ($short:ident $(, $long:ident)?: $($source:tt),+ $(,)?) => {\n        \
             claims! { @ [$short $($long)?] [] [] $($source)+ }\n    };\n}\n";
    text
}

fn names_macro(sources: &BTreeMap<String, Vec<Claim>>) -> String {
    let mut text = "macro_rules! names {\n".to_string();
    for (name, claims) in sources {
        let names: Vec<&str> = claims.iter().map(|claim| claim.name.as_str()).collect();
        let _ = writeln!(text, "    ({name:?}) => {{ {names:?} }};");
    }
    text + "}\n"
}
