// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask check` and `cargo xtask floors`, as a program of its own: nothing else needs what parses Rust.

fn main() {
    std::process::exit(xtask_check::commands::main());
}
