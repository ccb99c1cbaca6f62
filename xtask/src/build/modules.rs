// SPDX-License-Identifier: GPL-2.0
//! ihk.ko and mcctrl.ko: Kbuild in the build root, against the prepared source of a stock kernel.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{output, sync::sync};
use crate::paths;
use crate::setup::catalogue::Wanted;
use crate::setup::kernel::{self, Kernel, Prepared};
use crate::setup::{buildroot, cache, chroot::Chroot, clippy, host};
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
pub fn build(wanted: &Wanted) -> Result<()> {
    let present: Vec<&str> = MODULES
        .into_iter()
        .filter(|name| paths::repository().join(name).join("Kbuild").exists())
        .collect();
    if present.is_empty() {
        return Ok(());
    }
    let kernel = kernel::stock(wanted)?;
    let target = Target::of(kernel)?;
    let folder = target.folder.clone();
    begin_anew_for_other_packages(&target)?;
    let mut content = target.prepared.objects.to_string_lossy().into_owned();
    content.push_str(BINDINGS);
    for name in present.iter().chain([&SHARED]) {
        content.push_str(&sync(&paths::repository().join(name), &folder.join(name))?);
    }
    let stamp = folder.join("built.key");
    if fs::read_to_string(&stamp).is_ok_and(|built| built == content) {
        return Ok(());
    }
    // Until both are built and installed, nothing may be taken for what was built last.
    let _ = fs::remove_file(&stamp);
    compile(&target, &present)?;
    fs::write(stamp, content)?;
    Ok(())
}

/// Removes what was built with other packages of the same release: make would not notice.
fn begin_anew_for_other_packages(target: &Target) -> Result<()> {
    let made_with = target.folder.join("made-with");
    let objects = target.prepared.objects.to_string_lossy().into_owned();
    if fs::read_to_string(&made_with).is_ok_and(|before| before == objects) {
        return Ok(());
    }
    cache::remove(&target.folder)?;
    fs::create_dir_all(&target.folder)?;
    fs::write(&made_with, objects).with_context(|| made_with.display().to_string())
}

/// What counts as a fault besides what the lints of Linux's own build deny.
const LINTS: &str = "-Dwarnings";

/// Has clippy look at the modules, in a build folder of its own.
///
/// # Errors
/// It finds something; the modules do not build, or clippy cannot be had.
pub fn lint(wanted: &Wanted) -> Result<()> {
    let mut target = Target::of(kernel::stock(wanted)?)?;
    let name = format!("clippy-{}", target.kernel.release);
    target.folder = paths::target().join("kbuild").join(name);
    begin_anew_for_other_packages(&target)?;
    let chroot = target.chroot().bind(&clippy::prepare()?, "/clippy");
    for name in MODULES.iter().chain([&SHARED]) {
        sync(&paths::repository().join(name), &target.folder.join(name))?;
    }
    for (name, object) in MODULES.iter().zip(["ihk.o", "mcctrl.o"]) {
        bindings(&target, &chroot, &target.folder.join(name), name)?;
        let mut make = target.make(&chroot, name);
        make.args(["CLIPPY=1", "CLIPPY_DRIVER=/clippy/clippy-driver"]);
        make.args([&format!("KRUSTFLAGS={LINTS}"), object]);
        ui::logged(&format!("clippy of {name}"), &mut make)?;
    }
    Ok(())
}

/// The kernel that is built for, with what, and where.
struct Target {
    kernel: Kernel,
    prepared: Prepared,
    build_root: PathBuf,
    folder: PathBuf,
    /// What travels into guests with this kernel.
    overlay: PathBuf,
    /// The modules' folder in a guest.
    inside: PathBuf,
}

impl Target {
    fn of(kernel: Kernel) -> Result<Self> {
        Ok(Self {
            prepared: kernel.prepared()?,
            build_root: buildroot::prepare()?,
            folder: paths::target().join("kbuild").join(&kernel.release),
            overlay: paths::modules_overlay(&kernel.release),
            inside: Path::new("usr/lib/modules").join(&kernel.release),
            kernel,
        })
    }

    /// Where make runs: the kernel and the modules' folders are seen there.
    fn chroot(&self) -> Chroot {
        Chroot::new(&self.build_root)
            .bind(&self.prepared.source, "/source")
            .bind(&self.prepared.objects, "/linux")
            .bind(&self.folder, "/src")
    }

    /// A make for the module in the folder `name`; what is to be made can be added.
    fn make(&self, chroot: &Chroot, name: &str) -> Command {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut make = chroot.command("make");
        make.args(["-C", "/linux", "CC=x86_64-linux-gnu-gcc-14"]);
        make.arg(format!("-j{jobs}"));
        let suffix = self.kernel.id.flavour.suffix();
        make.arg(format!("LOCALVERSION={suffix}"));
        make.arg(format!("M=/src/{name}"));
        make
    }
}

fn compile(target: &Target, present: &[&str]) -> Result<()> {
    let folder = &target.folder;
    let chroot = target.chroot();
    let mut symbols = Vec::new();
    let mut changed = false;
    for name in present {
        bindings(target, &chroot, &folder.join(name), name)?;
        make(target, &chroot, name, &symbols)?;
        symbols.push(format!("/src/{name}/Module.symvers"));
    }
    for name in present {
        changed |= install(target, &folder.join(name))?;
    }
    let index = target.overlay.join(&target.inside).join("modules.dep");
    if changed || !index.exists() {
        depmod(target)?;
    }
    Ok(())
}

/// Runs bindgen if the module asks for it and its questions have changed.
fn bindings(target: &Target, chroot: &Chroot, folder: &Path, name: &str) -> Result<()> {
    let Ok(header) = fs::read_to_string(folder.join("bindings.h")) else {
        return Ok(());
    };
    let arguments = fs::read_to_string(folder.join("bindings.args"))
        .with_context(|| format!("{name}/bindings.args"))?;
    let key = cache::key(&[&header, &arguments, BINDINGS, &target.kernel.release]);
    let stamp = folder.join("extra_bindings.key");
    if fs::read_to_string(&stamp).is_ok_and(|made| made == key)
        && folder.join("extra_bindings.rs").exists()
    {
        return Ok(());
    }
    let mut command = chroot.command("sh");
    ui::logged(
        &format!("bindings of {name} for {}", target.kernel.id.version),
        command.args(["-c", BINDINGS, "bindings.sh", &format!("/src/{name}")]),
    )?;
    fs::write(stamp, key)?;
    Ok(())
}

fn make(target: &Target, chroot: &Chroot, name: &str, symbols: &[String]) -> Result<()> {
    let mut make = target.make(chroot, name);
    make.arg(format!("KBUILD_EXTRA_SYMBOLS={}", symbols.join(" ")))
        .arg("modules");
    ui::logged(
        &format!("module {name} for {}", target.kernel.release),
        &mut make,
    )
}

/// Takes each built module over; says whether one of them is new.
fn install(target: &Target, folder: &Path) -> Result<bool> {
    let mut changed = false;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ko") {
            let name = path.file_name().context("module name")?;
            let inside = target.inside.join("extra").join(name);
            changed |= output::install(&path, &target.overlay, &inside.to_string_lossy())?;
        }
    }
    Ok(changed)
}

/// Makes the index that modprobe in the guest will read: of the stock modules and ours together.
fn depmod(target: &Target) -> Result<()> {
    let Target { folder, inside, .. } = target;
    let release = &target.kernel.release;
    let all = folder.join("depmod").join(inside);
    if !all.join("modules.order").exists() {
        fs::create_dir_all(&all)?;
        host::as_root("cp", |command| {
            command.arg("-rT").arg(target.kernel.modules()).arg(&all)
        })?;
    }
    let ours = target.overlay.join(inside);
    host::as_root("rm", |command| command.arg("-rf").arg(all.join("extra")))?;
    host::as_root("cp", |command| {
        command
            .arg("-r")
            .arg(ours.join("extra"))
            .arg(all.join("extra"))
    })?;
    let chroot = Chroot::new(&target.build_root).bind(folder, "/src");
    let script = "ln -sfn usr/lib /src/depmod/lib && depmod -b /src/depmod \"$1\"";
    ui::run_logged(
        "depmod",
        chroot.command("sh").args(["-ec", script, "sh", release]),
    )?;
    for entry in fs::read_dir(&all)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("modules.") {
            let place = inside.join(&name);
            output::install(&all.join(&name), &target.overlay, &place.to_string_lossy())?;
        }
    }
    Ok(())
}
