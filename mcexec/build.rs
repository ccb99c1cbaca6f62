// SPDX-License-Identifier: GPL-2.0
//! Links mcexec, as it is installed, to run above the window.
//!
//! It is position-independent code throughout, linked to one address: relative calls reach, nothing is
//! left to relocate at the start, and Linux puts the heap behind it, above the window as well.

use ihk_ikc::layout::MCEXEC_BASE;

fn main() {
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    // Unit tests run wherever Linux puts them.
    if features.split(',').any(|feature| feature == "crt-static") {
        println!("cargo:rustc-cfg=fixed_address");
        println!(
            "cargo:rustc-link-arg-bins=-Wl,--image-base={:#x}",
            MCEXEC_BASE
        );
        println!("cargo:rustc-link-arg-bins=-Wl,-no-pie");
    }
    println!("cargo:rustc-check-cfg=cfg(fixed_address)");
    println!("cargo:rerun-if-changed=build.rs");
}
