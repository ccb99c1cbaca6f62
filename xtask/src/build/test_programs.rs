// SPDX-License-Identifier: GPL-2.0
//! The guest programs of the tests: one file of `tests/guest` each.
//!
//! The name says how C is linked: `x.static.c` static, `x.pie.c` static and position-independent, `x.c` dynamic. C is
//! compiled in the build root, whose C library is the guest's own; Rust is always static.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{output, tools};
use crate::paths;
use crate::setup::{buildroot, cache, chroot::Chroot};
use crate::ui;

/// What the C programs share.
const HEADERS: [&str; 3] = ["claims.h", "faults.h", "measure.h"];
/// A program that includes this is linked with the library.
const LIBRARY_HEADER: &str = "mckernel.h";
const PLACE: &str = "usr/local/lib/mckernel-tests";
const C_FLAGS: [&str; 4] = ["-O2", "-g", "-Wall", "-pthread"];
const RUST_FLAGS: [&str; 6] = [
    "--edition=2021",
    "-Copt-level=2",
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=pie",
    "-Dwarnings",
    "-g",
];

/// Builds the programs whose source has changed.
///
/// # Errors
/// One does not compile.
pub fn build() -> Result<()> {
    let sources = paths::repository().join("tests/guest");
    let Ok(entries) = fs::read_dir(&sources) else {
        return Ok(());
    };
    let built = paths::target().join("test-programs");
    fs::create_dir_all(&built)?;
    let build_root = buildroot::prepare()?;
    for entry in entries {
        let source = entry?.path();
        let name = source
            .file_name()
            .context("file name")?
            .to_string_lossy()
            .into_owned();
        if let Some(program) = program_name(&name) {
            compile(&build_root, &source, &name, &built.join(program))?;
            let inside = format!("{PLACE}/{program}");
            output::install(&built.join(program), &paths::guest_overlay(), &inside)?;
        }
    }
    Ok(())
}

/// `hello` for `hello.c`, `hello.static.c` and `hello.rs`; nothing for other files.
fn program_name(file: &str) -> Option<&str> {
    let stem = file
        .strip_suffix(".c")
        .or_else(|| file.strip_suffix(".rs"))?;
    Some(
        stem.strip_suffix(".static")
            .or_else(|| stem.strip_suffix(".pie"))
            .unwrap_or(stem),
    )
}

fn compile(build_root: &Path, source: &Path, name: &str, program: &Path) -> Result<()> {
    let text = fs::read_to_string(source)?;
    let headers = HEADERS.map(|header| fs::read_to_string(source.with_file_name(header)));
    let headers = headers.into_iter().collect::<Result<String, _>>()?;
    let root = build_root.to_string_lossy();
    let library = if text.contains(LIBRARY_HEADER) {
        library_version()?
    } else {
        String::new()
    };
    let key = cache::key(&[
        name,
        &text,
        &headers,
        &library,
        &root,
        &C_FLAGS.concat(),
        &RUST_FLAGS.concat(),
    ]);
    let stamp = PathBuf::from(format!("{}.key", program.display()));
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == key) {
        return Ok(());
    }
    let mut compiler = if name.ends_with(".rs") {
        rustc(source, program)
    } else {
        gcc(build_root, name, program, !library.is_empty())?
    };
    ui::run_logged(&format!("test program {name}"), &mut compiler)?;
    fs::write(stamp, key)?;
    Ok(())
}

/// What changes whenever the library or its header does.
fn library_version() -> Result<String> {
    let header = paths::repository()
        .join("libmckernel/include")
        .join(LIBRARY_HEADER);
    let archive = fs::metadata(tools::library()).context("libmckernel.a")?;
    let text = fs::read_to_string(header).context(LIBRARY_HEADER)?;
    Ok(format!(
        "{text} {} {:?}",
        archive.len(),
        archive.modified()?
    ))
}

fn rustc(source: &Path, program: &Path) -> Command {
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(paths::repository())
        .args(RUST_FLAGS)
        .arg("-o")
        .arg(program)
        .arg(source);
    rustc
}

fn gcc(build_root: &Path, name: &str, program: &Path, with_library: bool) -> Result<Command> {
    let archive = tools::library();
    let chroot = Chroot::new(build_root)
        .bind(&paths::repository().join("tests/guest"), "/src")
        .bind(
            &paths::repository().join("libmckernel/include"),
            "/src-library",
        )
        .bind(archive.parent().context("folder")?, "/library")
        .bind(program.parent().context("folder")?, "/out");
    let mut gcc = chroot.command("gcc");
    gcc.args(C_FLAGS);
    if name.ends_with(".static.c") {
        gcc.args(["-static", "-no-pie"]);
    } else if name.ends_with(".pie.c") {
        gcc.arg("-static-pie");
    }
    let program = program
        .file_name()
        .context("name")?
        .to_string_lossy()
        .into_owned();
    gcc.arg("-o")
        .arg(format!("/out/{program}"))
        .arg(format!("/src/{name}"));
    if with_library {
        gcc.args(["-I/src-library", "/library/libmckernel.a"]);
    }
    Ok(gcc)
}

#[cfg(test)]
mod tests {
    use super::program_name;

    #[test]
    fn program_names_lose_what_says_how_to_link() {
        assert_eq!(program_name("hello.static.c"), Some("hello"));
        assert_eq!(program_name("hello.pie.c"), Some("hello"));
        assert_eq!(program_name("a.b.rs"), Some("a.b"));
        assert_eq!(program_name("README.md"), None);
    }
}
