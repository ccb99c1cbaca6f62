// SPDX-License-Identifier: GPL-2.0
//! The rig keeps its promises: status, streams, argv, files and limits, on the stock kernel without a co-kernel.

use std::io::Write;
use std::process::Stdio;
use tests::{in_turn, linux, linux_only, run, run_with_stdin, xtask_command, Examine, VmOptions};
use xtask::vm::Session;

#[test]
fn stock_kernel_runs_a_command_with_the_promised_environment() {
    let outcome = linux(
        "uname -r; pwd; env | sort; nproc; cat /sys/class/net/lo/operstate; ls /sys/class/net",
    );
    let text = outcome.succeeded().out();
    let (release, rest) = text.split_once('\n').expect("lines");
    let series = VmOptions::default().wanted().series;
    let series = series.unwrap_or_else(|| xtask::setup::catalogue::KNOWN[0].name.into());
    assert!(release.starts_with(&format!("{series}.")), "{release}");
    let expected =
        "/root\nHOME=/root\nLANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
                    PWD=/root\nSHLVL=1\nTERM=dumb\n_=/usr/bin/env\n4\nunknown\nlo\n";
    assert_eq!(rest, expected);
    assert_eq!(outcome.err(), "");
}

#[test]
fn every_byte_of_argv_arrives() {
    let words = [
        "printf",
        "%s|",
        "",
        " a  b ",
        "'\"$(id)`\\",
        "*",
        "-x",
        "--",
        "\u{e4}\u{1f600}",
        "line\nline\ttab",
        "\u{1}\u{7f}",
    ];
    let outcome = in_turn(&words);
    let expected: String = words[2..].iter().map(|word| format!("{word}|")).collect();
    assert_eq!(outcome.succeeded().out(), expected);
}

#[test]
fn streams_are_binary_unmixed_and_end() {
    let mut input: Vec<u8> = (0..3_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    input.extend([0, 255, b'\r', b'\n', 4, 3]);
    let outcome = run_with_stdin(linux_only(), &["tee", "/dev/stderr"], &input);
    assert_eq!(outcome.status, 0);
    assert!(
        outcome.stdout == input,
        "stdout: {} of {} bytes or changed",
        outcome.stdout.len(),
        input.len()
    );
    assert!(
        outcome.stderr == input,
        "stderr: {} of {} bytes or changed",
        outcome.stderr.len(),
        input.len()
    );
}

#[test]
fn empty_stdin_is_at_its_end() {
    assert_eq!(
        linux("cat; wc -c </dev/stdin; [ -p /dev/stdout ] && echo pipe")
            .succeeded()
            .out(),
        "0\npipe\n"
    );
}

#[test]
fn status_is_the_commands_own() {
    assert_eq!(linux("exit 77").status, 77);
}

#[test]
fn death_by_signal_is_128_plus_its_number() {
    assert_eq!(linux("kill -KILL $$").status, 137);
}

#[test]
fn unknown_command_is_127() {
    let outcome = in_turn(&["no-such-program", "x"]);
    assert_eq!(outcome.status, 127);
    assert!(
        outcome.err().starts_with("xtask: no-such-program: "),
        "{}",
        outcome.err()
    );
}

#[test]
fn file_that_is_no_program_is_126() {
    assert_eq!(in_turn(&["/etc/passwd"]).status, 126);
}

#[test]
fn output_of_a_background_child_does_not_keep_the_machine_up() {
    let outcome = linux("sleep 1000 & echo started");
    assert_eq!(outcome.succeeded().out(), "started\n");
}

fn session() -> Session {
    Session::new(VmOptions {
        no_build: true,
        ..linux_only()
    })
}

#[test]
fn commands_in_turn_find_the_machine_as_if_just_booted() {
    // Builds what the session expects to be there.
    assert_eq!(linux("true").status, 0);
    let mut session = session();
    let mut run = |script| session.run(&["bash", "-c", script], 200).expect("machine");
    let look = "cat /proc/sys/kernel/random/boot_id; pgrep -c sleep; ls /tmp /dev/shm /root /dev/mc*; \
                cat /proc/sys/vm/swappiness; dmesg | grep -c mark; cut -d' ' -f1 /proc/modules | grep -E 'ihk|mcctrl'; exit 0";
    let first = run(look).succeeded().out();
    let leaving = "touch /tmp/a /dev/shm/b c; mkdir /tmp/d; sleep 1000 & sleep 1000 & \
                   echo mark >/dev/kmsg; mcreboot -c 2-3 -m 512M@0 && mcexec /bin/echo here";
    let second = run(leaving);
    assert_eq!(second.succeeded().out(), "here\n");
    assert!(second.kmsg().contains("mark") && second.kmsg().contains("---- ihkosctl 0 kmsg"));
    let third = run(look);
    assert_eq!(third.succeeded().out(), first);
    assert!(!third.kmsg().contains("mark"));
    // What is not put back costs the machine.
    assert_eq!(run("sysctl -qw kernel.hostname=other").status, 0);
    let boot_id = |text: &str| text.lines().next().expect("line").to_string();
    assert_ne!(boot_id(&run(look).out()), boot_id(&first));
}

#[test]
fn machine_that_dies_or_hangs_is_replaced_for_the_rest() {
    assert_eq!(linux("true").status, 0);
    let mut session = session();
    let mut run = |script, limit_s| session.run(&["bash", "-c", script], limit_s);
    let hangs = run("echo before; echo more >&2; sleep 1000", 20).expect("machine");
    assert_eq!(hangs.status, 124);
    assert_eq!(
        (hangs.out(), hangs.err()),
        ("before\n".into(), "more\n".into())
    );
    let dies = run("echo c >/proc/sysrq-trigger; sleep 100", 200).expect_err("no end");
    assert!(dies.to_string().contains("console.log"), "{dies:#}");
    let lives = run("echo after", 200).expect("machine");
    assert_eq!((lives.status, lives.out()), (0, "after\n".into()));
}

#[test]
fn timeout_is_124_and_keeps_what_was_written() {
    // The limit counts from QEMU's start; how long a boot takes is the host's affair.
    let mut limits = [12, 40, 120].into_iter();
    let written = limits.find_map(|limit_s| {
        let options = VmOptions {
            timeout: Some(limit_s),
            ..linux_only()
        };
        let outcome = run(options, &["bash", "-c", "echo before; sleep 1000"]);
        assert_eq!(outcome.status, 124);
        let registers = std::fs::read_to_string(outcome.console.with_file_name("registers.log"));
        let registers = registers.expect("registers of a machine that was stopped");
        assert!(registers.contains("RIP="), "{registers}");
        Some(outcome.out()).filter(|text| !text.is_empty())
    });
    assert_eq!(written.as_deref(), Some("before\n"));
}

#[test]
fn copied_files_keep_mode_and_content() {
    use std::os::unix::fs::{symlink, PermissionsExt};
    let base = std::env::temp_dir().join(format!("rig-copy-{}", std::process::id()));
    let folder = base.join("some folder");
    std::fs::create_dir_all(&folder).expect("folder");
    std::fs::write(folder.join("program"), "#!/bin/sh\necho ran \"$@\"\n").expect("program");
    std::fs::set_permissions(
        folder.join("program"),
        std::fs::Permissions::from_mode(0o751),
    )
    .expect("mode");
    symlink("program", folder.join("link")).expect("link");
    let copy = vec![
        folder.clone().into(),
        format!("{}:/opt/a/b", folder.join("program").display()).into(),
    ];
    let script =
        "\"/root/some folder/link\" x; stat -c '%a %U' '/root/some folder/program' /opt/a/b";
    let outcome = run(
        VmOptions {
            copy,
            ..linux_only()
        },
        &["bash", "-c", script],
    );
    std::fs::remove_dir_all(base).expect("clean up");
    assert_eq!(outcome.succeeded().out(), "ran x\n751 root\n751 root\n");
}

#[test]
fn nodes_have_equal_parts() {
    let options = VmOptions {
        numa: 2,
        mem: 1 << 30,
        ..linux_only()
    };
    let outcome = run(
        options,
        &[
            "bash",
            "-c",
            "cat /sys/devices/system/node/node[01]/cpulist; cat /sys/devices/system/node/online",
        ],
    );
    assert_eq!(outcome.succeeded().out(), "0-1\n2-3\n0-1\n");
}

#[test]
fn x2apic_machine_boots_the_compressed_kernel() {
    let options = VmOptions {
        x2apic: true,
        bzimage: true,
        ..linux_only()
    };
    let outcome = run(options, &["bash", "-c", "dmesg | grep -i 'x2apic'"]);
    assert!(
        outcome.succeeded().out().contains("x2apic"),
        "{}",
        outcome.out()
    );
}

#[test]
fn guest_that_goes_down_early_is_125_and_names_the_log() {
    let output = xtask_command(&[
        "vm",
        "--no-lwk",
        "--no-build",
        "--",
        "sh",
        "-c",
        "echo c >/proc/sysrq-trigger; sleep 100",
    ])
    .stdin(Stdio::null())
    .output()
    .expect("xtask");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(
        error
            .lines()
            .any(|line| line.starts_with("xtask: ") && line.contains("console.log")),
        "{error}"
    );
}

#[test]
fn wrong_options_are_125_and_one_line() {
    let wrong: [&[&str]; 8] = [
        &["vm", "--smp", "0", "--no-lwk", "--", "true"],
        &["vm", "--mem", "2X", "--", "true"],
        &["vm", "--no-such-option", "--", "true"],
        &["vm", "--numa", "3", "--", "true"],
        &["vm", "--copy", "/no/such/file", "--", "true"],
        &[
            "vm",
            "--install",
            "-o=x",
            "--no-lwk",
            "--no-build",
            "--",
            "true",
        ],
        &["vm", "--timeout", "0", "--", "true"],
        &["no-such-command"],
    ];
    for arguments in wrong {
        let output = xtask_command(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("xtask");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {error}");
        assert_eq!(
            error
                .lines()
                .filter(|line| line.starts_with("xtask: "))
                .count(),
            1,
            "{arguments:?}: {error}"
        );
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}

#[test]
fn output_arrives_while_the_command_runs_and_stdin_ends_it() {
    let mut xtask = xtask_command(&[
        "vm",
        "--no-lwk",
        "--no-build",
        "--",
        "bash",
        "-c",
        "echo ready; read line; echo got $line",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .expect("xtask");
    let mut stdout = xtask.stdout.take().expect("stdout");
    let mut first = [0; 6];
    std::io::Read::read_exact(&mut stdout, &mut first).expect("first line");
    assert_eq!(&first, b"ready\n");
    xtask
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"answer\n")
        .expect("write");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).expect("rest");
    assert_eq!(rest, "got answer\n");
    assert_eq!(xtask.wait().expect("wait").code(), Some(0));
}
