// SPDX-License-Identifier: GPL-2.0
//! A host that keeps the whole machine from running for seconds is not taken for a co-kernel that hangs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tests::xtask_command;

/// What the guest does until it is told a line: requests to the co-kernel and looks at its health, without a pause.
const WORK: &str = "mcreboot -c 2-3 -m 512M@0 && echo ready && \
    until read -t 0.01; do mcexec /bin/true </dev/null && ihkosctl 0 get status || exit 1; done | sort | uniq -c";
const STALL: Duration = Duration::from_millis(2500);
const STALLS: usize = 5;

#[test]
fn machine_that_stands_still_blames_nobody() {
    let mut xtask = xtask_command(&["vm", "--no-lwk", "--no-build", "--", "bash", "-c", WORK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xtask");
    let mut lines = BufReader::new(xtask.stdout.take().expect("stdout")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert_eq!(first, "ready");
    let machine = machine_below(xtask.id()).expect("QEMU");
    for _ in 0..STALLS {
        kill(machine, Signal::SIGSTOP).expect("stop");
        sleep(STALL);
        kill(machine, Signal::SIGCONT).expect("go on");
        sleep(Duration::from_millis(400));
    }
    let mut input = xtask.stdin.take().expect("stdin");
    input.write_all(b"enough\n").expect("line");
    let rest: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let words: Vec<&str> = rest
        .iter()
        .flat_map(|line| line.split_whitespace())
        .collect();
    let [count, "RUNNING"] = words[..] else {
        panic!("{rest:?}")
    };
    assert!(count.parse::<usize>().expect("count") >= STALLS, "{rest:?}");
    assert!(xtask.wait().expect("wait").success());
}

/// The descendant of `process` that has the guest's processors.
fn machine_below(process: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    children.split_whitespace().find_map(|child| {
        let child: u32 = child.parse().ok()?;
        let words = fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
        if words.contains("-nodefaults") {
            Some(Pid::from_raw(child.cast_signed()))
        } else {
            machine_below(child)
        }
    })
}
