// SPDX-License-Identifier: GPL-2.0
//! ihk.ko and mcctrl.ko: Kbuild in the build root, against the prepared source of the stock kernel.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

use crate::build::{output, sync::sync};
use crate::paths;
use crate::setup::{cache, chroot::Chroot, host, kernel, Environment};
use crate::ui;

/// Module folders in the order in which they are built: each sees the symbols of those before it.
const MODULES: [&str; 2] = ["ihk-linux", "mcctrl"];

/// Sources that the modules include by path.
const SHARED: &str = "ihk-ikc";

const BINDINGS: &str = include_str!("../../setup/bindings.sh");

/// Builds those of the modules that exist.
///
/// # Errors
/// One does not build.
pub fn build(environment: &Environment) -> Result<()> {
    let present: Vec<&str> = MODULES
        .into_iter()
        .filter(|name| paths::repository().join(name).join("Kbuild").exists())
        .collect();
    if present.is_empty() {
        return Ok(());
    }
    let folder = paths::target().join("kbuild");
    let mut content = environment.kernel.source().to_string_lossy().into_owned();
    for name in present.iter().chain([&SHARED]) {
        content.push_str(&sync(&paths::repository().join(name), &folder.join(name))?);
    }
    let stamp = folder.join("built.key");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == content) {
        return Ok(());
    }
    compile(environment, &folder, &present)?;
    fs::write(stamp, content)?;
    Ok(())
}

fn compile(environment: &Environment, folder: &Path, present: &[&str]) -> Result<()> {
    let chroot = Chroot::new(&environment.build_root)
        .bind(&environment.kernel.source(), "/linux")
        .bind(folder, "/src");
    let mut symbols = Vec::new();
    let mut changed = false;
    for name in present {
        bindings(environment, &chroot, &folder.join(name), name)?;
        make(&chroot, name, &symbols)?;
        symbols.push(format!("/src/{name}/Module.symvers"));
        changed |= install(environment, &folder.join(name))?;
    }
    if changed
        || !paths::guest_overlay()
            .join(modules_folder(environment))
            .join("modules.dep")
            .exists()
    {
        depmod(environment, folder)?;
    }
    Ok(())
}

/// Runs bindgen if the module asks for it and its questions have changed.
fn bindings(environment: &Environment, chroot: &Chroot, folder: &Path, name: &str) -> Result<()> {
    let Ok(header) = fs::read_to_string(folder.join("bindings.h")) else {
        return Ok(());
    };
    let arguments = fs::read_to_string(folder.join("bindings.args"))
        .with_context(|| format!("{name}/bindings.args"))?;
    let key = cache::key(&[&header, &arguments, BINDINGS, &environment.kernel.release]);
    let stamp = folder.join("extra_bindings.key");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == key)
        && folder.join("extra_bindings.rs").exists()
    {
        return Ok(());
    }
    let mut command = chroot.command("sh");
    ui::logged(
        &format!("bindings of {name}"),
        command.args(["-c", BINDINGS, "bindings.sh", &format!("/src/{name}")]),
    )?;
    fs::write(stamp, key)?;
    Ok(())
}

fn make(chroot: &Chroot, name: &str, symbols: &[String]) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut make = chroot.command("make");
    make.args([
        "-C",
        "/linux",
        "CC=x86_64-linux-gnu-gcc-14",
        &format!("-j{jobs}"),
    ]);
    make.arg(format!("LOCALVERSION={}", kernel::FLAVOUR))
        .arg(format!("M=/src/{name}"));
    make.arg(format!("KBUILD_EXTRA_SYMBOLS={}", symbols.join(" ")))
        .arg("modules");
    ui::logged(&format!("module {name}"), &mut make)
}

fn modules_folder(environment: &Environment) -> PathBuf {
    Path::new("usr/lib/modules").join(&environment.kernel.release)
}

/// Takes each built module over; says whether one of them is new.
fn install(environment: &Environment, folder: &Path) -> Result<bool> {
    let mut changed = false;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            let name = path.file_name().context("module name")?;
            let inside = modules_folder(environment).join("extra").join(name);
            changed |= output::install(&path, &inside.to_string_lossy())?;
        }
    }
    Ok(changed)
}

/// Makes the index that modprobe in the guest will read: of the stock modules and ours together.
fn depmod(environment: &Environment, folder: &Path) -> Result<()> {
    let release = &environment.kernel.release;
    let inside = modules_folder(environment);
    let all = folder.join("depmod").join(&inside);
    if !all.join("modules.order").exists() {
        fs::create_dir_all(&all)?;
        host::as_root("cp", |command| {
            command
                .arg("-rT")
                .arg(environment.kernel.modules())
                .arg(&all)
        })?;
    }
    let ours = paths::guest_overlay().join(&inside);
    host::as_root("rm", |command| command.arg("-rf").arg(all.join("extra")))?;
    host::as_root("cp", |command| {
        command
            .arg("-r")
            .arg(ours.join("extra"))
            .arg(all.join("extra"))
    })?;
    let chroot = Chroot::new(&environment.build_root).bind(folder, "/src");
    let script = "ln -sfn usr/lib /src/depmod/lib && depmod -b /src/depmod \"$1\"";
    ui::run_logged(
        "depmod",
        chroot.command("sh").args(["-ec", script, "sh", release]),
    )?;
    for entry in fs::read_dir(&all)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("modules.") {
            output::install(&all.join(&name), &inside.join(&name).to_string_lossy())?;
        }
    }
    Ok(())
}
