// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask bench`, as a program of its own: nothing else needs what draws plots.

fn main() {
    std::process::exit(xtask_bench::command::main());
}
