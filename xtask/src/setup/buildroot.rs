// SPDX-License-Identifier: GPL-2.0
//! The build root: a Debian 13 tree with the compilers that built the target kernels, and with QEMU.
//!
//! Programs of it run either in a chroot or, where no other part of the tree matters, directly through the tree's own
//! dynamic loader (see [`native`]).

use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::apt::Apt;
use crate::setup::base_tree;
use crate::setup::cache;

const PACKAGES: &[&str] = &[
    // What Debian built its kernel with.
    "gcc-14",
    "rustc",
    "rust-src",
    "bindgen",
    "libclang-19-dev",
    "pahole",
    // What a kernel build calls.
    "bc",
    "bison",
    "cpio",
    "flex",
    "libelf-dev",
    "libssl-dev",
    "make",
    "perl",
    "python3-minimal",
    "rsync",
    // Linker of the co-kernel; compilers of the guest's test programs; emulator.
    "lld",
    "gcc",
    "libc6-dev",
    "qemu-system-x86",
];

/// About what it takes, MiB.
pub const MIB: u64 = 2400;

/// Its name in the cache.
#[must_use]
pub fn name() -> String {
    format!(
        "build-root-{}",
        cache::key(&[&base_tree::name(), &PACKAGES.join(" ")])
    )
}

/// The build root, made if it is missing.
///
/// # Errors
/// A package cannot be had.
pub fn prepare() -> Result<PathBuf> {
    cache::entry(&name(), MIB, |tree| {
        base_tree::copy_to(tree)?;
        Apt::of_debian()?.install("build root", tree, &PACKAGES.join(" "))
    })
}

/// A command that runs the build root's `program` (a path inside it) on the host, through the build root's own loader.
#[must_use]
pub fn native(build_root: &Path, program: &str) -> Command {
    let mut command = Command::new(build_root.join("lib64/ld-linux-x86-64.so.2"));
    let libraries = build_root.join("usr/lib/x86_64-linux-gnu");
    command
        .arg("--library-path")
        .arg(libraries)
        .arg("--argv0")
        .arg(program)
        .arg(build_root.join(&program[1..]));
    command
}
