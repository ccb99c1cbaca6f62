// SPDX-License-Identifier: GPL-2.0
//! The guest programs of the tests: one C file each, in the folders of `tests` beside the claims about them.
//!
//! The name says how it is linked: `x.static.c` static, `x.pie.c` static and position-independent, `x.c` dynamic. It is
//! compiled in the build root, whose C library is the guest's own.

use anyhow::{ensure, Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{output, tools};
use crate::claims::program_name;
use crate::paths;
use crate::setup::{buildroot, cache, chroot::Chroot};
use crate::ui;

/// What the programs share, in [`HEADERS_FOLDER`].
const HEADERS: [&str; 4] = ["claims.h", "described.h", "faults.h", "measure.h"];
/// The headers' folder below `tests`.
const HEADERS_FOLDER: &str = "lib";
/// A program that includes this is linked with the library.
const LIBRARY_HEADER: &str = "mckernel.h";
const PLACE: &str = "usr/local/lib/mckernel-tests";
const C_FLAGS: [&str; 4] = ["-O2", "-g", "-Wall", "-pthread"];

/// Builds the programs whose source has changed.
///
/// # Errors
/// One does not compile.
pub fn build() -> Result<()> {
    let built = paths::target().join("test-programs");
    fs::create_dir_all(&built)?;
    let build_root = buildroot::prepare()?;
    for (program, source) in sources(&tests())? {
        compile(&build_root, &source, &built.join(&program))?;
        let inside = format!("{PLACE}/{program}");
        output::install(&built.join(&program), &paths::guest_overlay(), &inside)?;
    }
    Ok(())
}

fn tests() -> PathBuf {
    paths::repository().join("tests")
}

/// The sources of all programs, relative to `tests`, by the programs' names.
fn sources(tests: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for theme in fs::read_dir(tests).context("tests")? {
        let theme = theme?;
        if !theme.file_type()?.is_dir() {
            continue;
        }
        for source in fs::read_dir(theme.path())? {
            let file = source?.file_name();
            if let Some(program) = file.to_str().and_then(program_name) {
                let source = Path::new(&theme.file_name()).join(&file);
                let before = found.insert(program.to_string(), source);
                ensure!(before.is_none(), "two programs are called {program}");
            }
        }
    }
    Ok(found)
}

fn compile(build_root: &Path, source: &Path, program: &Path) -> Result<()> {
    let name = source.to_string_lossy();
    let text = fs::read_to_string(tests().join(source))?;
    let folder = tests().join(HEADERS_FOLDER);
    let headers = HEADERS.map(|header| fs::read_to_string(folder.join(header)));
    let headers = headers.into_iter().collect::<Result<String, _>>()?;
    let root = build_root.to_string_lossy();
    let library = if text.contains(LIBRARY_HEADER) {
        library_version()?
    } else {
        String::new()
    };
    let key = cache::key(&[&name, &text, &headers, &library, &root, &C_FLAGS.concat()]);
    let stamp = PathBuf::from(format!("{}.key", program.display()));
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == key) {
        return Ok(());
    }
    let mut gcc = gcc(build_root, &name, program, !library.is_empty())?;
    ui::run_logged(&format!("test program {name}"), &mut gcc)?;
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

fn gcc(build_root: &Path, name: &str, program: &Path, with_library: bool) -> Result<Command> {
    let archive = tools::library();
    let chroot = Chroot::new(build_root)
        .bind(&tests(), "/src")
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
        .arg(format!("-I/src/{HEADERS_FOLDER}"))
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
        assert_eq!(program_name("a.b.c"), Some("a.b"));
        assert_eq!(program_name("README.md"), None);
    }
}
