// SPDX-License-Identifier: GPL-2.0
//! Logs of Linux and the co-kernels, sent to the host when a command has ended.

use crate::{ports, run};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

/// A co-kernel that does not answer must not keep the guest from going down.
const LIMIT_S: &str = "5";

/// Sends the messages of Linux since its boot, or since [`send_new`].
pub(crate) fn send() {
    if let Ok(mut port) = ports::open_for_writing("kmsg") {
        append(&mut port, &["dmesg"]);
    }
}

/// Sends the messages of Linux that have come since the last time.
pub(crate) fn send_new() {
    if let Ok(mut port) = ports::open_for_writing("kmsg") {
        append(&mut port, &["dmesg", "--syslog", "--read-clear"]);
    }
}

/// Sends each instance's `ihkosctl N kmsg`; what cannot be had is left out.
pub(crate) fn send_cokernels() {
    let Ok(mut port) = ports::open_for_writing("kmsg") else {
        return;
    };
    for instance in instances() {
        let _ = writeln!(port, "---- ihkosctl {instance} kmsg");
        append(&mut port, &["ihkosctl", &instance, "kmsg"]);
    }
}

/// Numbers of the co-kernel instances, from their devices' names.
fn instances() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/dev") else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut numbers: Vec<String> = names
        .filter_map(|name| name.strip_prefix("mcos").map(str::to_string))
        .collect();
    numbers.sort();
    numbers
}

fn append(port: &mut File, argv: &[&str]) {
    let mut command = run::command(OsStr::new("timeout"), "dumb");
    command
        .args(["-s", "KILL", LIMIT_S])
        .args(argv)
        .stdin(Stdio::null());
    if let Ok(output) = command.output() {
        let _ = port.write_all(&output.stdout);
        let _ = port.write_all(&output.stderr);
    }
}
