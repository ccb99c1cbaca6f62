// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask`: from a fresh clone, each command does whatever set-up is missing by itself.

fn main() {
    std::process::exit(xtask::commands::main());
}
