// SPDX-License-Identifier: GPL-2.0
//! Tells the linker where the co-kernel runs.
//!
//! "Relocatable" is meant physically: the image is linked to run at one virtual address, and page tables put it
//! anywhere in memory.

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into());
    println!("cargo::rerun-if-changed=linker.ld");
    println!("cargo::rustc-link-arg-bins=-T{folder}/linker.ld");
    println!("cargo::rustc-link-arg-bins=--no-pie");
    println!("cargo::rustc-link-arg-bins=--build-id=sha1");
}
