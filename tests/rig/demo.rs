// SPDX-License-Identifier: GPL-2.0
//! `cargo xtask demo`: one command from a clone to a program on the co-kernel.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};
use tests::{in_turn, xtask_command, Examine};

/// What the demo may take once everything is built.
const LIMIT: Duration = Duration::from_secs(30);

fn xtask(arguments: &[&str]) -> Output {
    let output = xtask_command(arguments).stdin(Stdio::null()).output();
    output.expect("xtask")
}

#[track_caller]
fn same_as_natively(argv: &[&str]) {
    let ours = xtask(&[&["demo", "--"], argv].concat());
    let native = in_turn(argv);
    let error = String::from_utf8_lossy(&ours.stderr);
    assert_eq!(ours.status.code(), Some(native.status.into()), "{error}");
    assert!(
        ours.stdout == native.stdout,
        "natively:\n{}\nin the demo:\n{}",
        native.out(),
        String::from_utf8_lossy(&ours.stdout)
    );
}

#[test]
fn demo_of_ls_equals_native_ls() {
    same_as_natively(&["/bin/ls", "-la", "/usr/bin"]);
}

#[test]
fn demo_passes_the_programs_status() {
    same_as_natively(&[
        "/usr/bin/python3",
        "-c",
        "print('last words'); raise SystemExit(33)",
    ]);
}

#[test]
fn demo_takes_no_more_than_30_seconds_when_everything_is_built() {
    assert!(xtask(&["build"]).status.success());
    let started = Instant::now();
    let output = xtask(&["demo"]);
    let took = started.elapsed();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(
        !output.stdout.is_empty() && took <= LIMIT,
        "{took:?}\n{error}"
    );
}
