// SPDX-License-Identifier: GPL-2.0
//! Simulated archives: what is chosen when Debian has dropped a series, offers only an unknown one, breaks off, or when
//! the disk has no room. Each run has a cache of its own that borrows from the real one what it does not hide; kernels,
//! which would have come from another archive, only where they are lent.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use tests::xtask_command;
use xtask::setup::archive::packages;
use xtask::setup::catalogue::{Flavour, Release, KNOWN};
use xtask::setup::host::root_command;
use xtask::setup::kernel::{self, Kernel};

/// A mirror on this machine that offers releases by their names alone: each download breaks off half-way.
struct Mirror {
    source: String,
}

impl Mirror {
    fn of(versions: &[&str]) -> Self {
        let mut index = String::new();
        for version in versions {
            let release = Release {
                version: version.parse().expect("version"),
                flavour: Flavour::Cloud,
            };
            for name in packages(&release) {
                index += &format!(
                    "Package: {name}\nVersion: {version}-1\nArchitecture: amd64\nMaintainer: nobody\nDescription: x\n\
                     Filename: ./{name}.deb\nSize: 1000000\nSHA256: {:064}\n\n",
                    0
                );
            }
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("port");
        let port = listener.local_addr().expect("address").port();
        // The thread ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &index);
            }
        });
        let source = format!("deb [trusted=yes allow-insecure=yes] http://127.0.0.1:{port}/ ./");
        Self { source }
    }
}

fn answer(mut stream: TcpStream, index: &str) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let count = stream.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..count]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, length, body) = if path.ends_with("/Packages") {
        ("200 OK", index.len(), index.as_bytes())
    } else if path.ends_with(".deb") {
        ("200 OK", 1_000_000, &[0_u8; 500_000][..])
    } else {
        ("404 Not Found", 0, &[][..])
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// A cache that has all that the real one has but entries beginning with one of `hidden`.
struct Cache(PathBuf);

impl Cache {
    fn without(hidden: &[&str]) -> Self {
        let name = format!(
            "archive-{}-{:?}",
            std::process::id(),
            thread::current().id()
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("folder");
        let real = xtask::paths::cache().expect("cache");
        for entry in fs::read_dir(real).expect("cache").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_entry = [
                "base-",
                "build-root-",
                "guest-",
                "kernel-",
                "source-",
                "objects-",
            ]
            .iter()
            .any(|start| name.starts_with(start));
            if is_entry && !hidden.iter().any(|start| name.starts_with(start)) {
                symlink(entry.path(), folder.join(name)).expect("link");
            }
        }
        Self(folder)
    }

    /// Shows `kernel` of the real cache as if it had come from `mirror`.
    fn lend(&self, kernel: &Kernel, mirror: &Mirror) {
        let real = xtask::paths::cache().expect("cache");
        let version = format!("{}-1", kernel.id.version);
        let theirs = kernel::names(&kernel.id, &version, Some(&mirror.source));
        let ours = kernel::names(&kernel.id, &kernel.version, None);
        for (ours, theirs) in ours.iter().zip(theirs) {
            symlink(real.join(ours), self.0.join(theirs)).expect("link");
        }
    }

    fn run(&self, mirror: &Mirror, arguments: &[&str]) -> Output {
        let mut command = xtask_command(arguments);
        command
            .env("MCKERNEL_CACHE", &self.0)
            .env("MCKERNEL_ARCHIVE", &mirror.source)
            .env_remove("MCKERNEL_KERNEL");
        command.stdin(Stdio::null()).output().expect("xtask")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("cache").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = xtask::setup::cache::remove(&self.0);
    }
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Lines of the rig's own, other than warnings.
fn own_lines(error: &str) -> Vec<&str> {
    let lines = error.lines().filter(|line| line.starts_with("xtask: "));
    lines.filter(|line| !line.contains("warning")).collect()
}

const UNAME: [&str; 7] = [
    "vm",
    "--no-lwk",
    "--no-build",
    "--kernel",
    "7.2",
    "--",
    "uname",
];

/// The newest kernel of a series that the real cache has.
fn at_hand(series: &str) -> Option<Kernel> {
    let kernels = kernel::all_cached().expect("cache").into_iter();
    let fitting =
        kernels.filter(|it| it.id.flavour == Flavour::Cloud && it.id.version.series() == series);
    fitting.max_by(|a, b| a.id.cmp(&b.id))
}

#[test]
fn a_series_that_is_gone_gives_way_to_the_next_one_known_to_pass() {
    let newest = KNOWN[0];
    let at_hand = at_hand(newest.name);
    let version = at_hand
        .as_ref()
        .map_or(newest.release.into(), |it| it.id.version.to_string());
    let mirror = Mirror::of(&[&version]);
    let cache = Cache::without(&["kernel-", "source-"]);
    if let Some(kernel) = &at_hand {
        cache.lend(kernel, &mirror);
    }
    let output = cache.run(&mirror, &[&UNAME[..], &["-r"]].concat());
    let error = error(&output);
    let choice =
        format!("warning: Debian offers no Linux 7.2 (cloud) any more; using {version}+deb13");
    assert!(error.contains(&choice), "{error}");
    if at_hand.is_some() {
        assert_eq!(output.status.code(), Some(0), "{error}");
        assert!(output.stdout.starts_with(version.as_bytes()), "{error}");
    } else {
        // It cannot be had from this mirror, but it is the right one that is asked for.
        assert_eq!(output.status.code(), Some(125), "{error}");
        let asked = format!("kernel {version}+deb13-cloud-amd64");
        assert!(
            matches!(own_lines(&error)[..], [line] if line.contains(&asked)),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_series_is_chosen_if_there_is_no_other_and_said_to_be_untested() {
    let cache = Cache::without(&["kernel-", "source-"]);
    let output = cache.run(&Mirror::of(&["7.9.1", "7.9.2"]), &UNAME);
    let error = error(&output);
    // It cannot be had from this mirror, but it is the right one that is asked for.
    assert!(
        error.contains("warning: Linux 7.9.2+deb13-cloud-amd64 is untested"),
        "{error}"
    );
    assert_eq!(output.status.code(), Some(125), "{error}");
}

#[test]
fn a_download_that_breaks_off_is_one_line_and_leaves_nothing_behind() {
    let cache = Cache::without(&["kernel-", "source-"]);
    let output = cache.run(&Mirror::of(&["7.2.12", "7.3.4"]), &UNAME);
    let error = error(&output);
    assert_eq!(output.status.code(), Some(125), "{error}");
    let lines = own_lines(&error);
    assert!(
        matches!(lines[..], [line] if line.contains("kernel 7.2.12+deb13-cloud-amd64")),
        "{error}"
    );
    let left = |name: &String| name.starts_with("kernel-");
    assert!(!cache.names().iter().any(left), "{:?}", cache.names());
}

#[test]
fn a_series_that_nobody_has_is_refused() {
    let cache = Cache::without(&["kernel-9"]);
    let output = cache.run(
        &Mirror::of(&["7.3.4"]),
        &[
            "vm",
            "--no-lwk",
            "--no-build",
            "--kernel",
            "9.9",
            "--",
            "true",
        ],
    );
    let error = error(&output);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(
        matches!(own_lines(&error)[..], [line] if line.contains("--kernel 9.9-cloud: Debian does not offer it")),
        "{error}"
    );
}

#[test]
fn a_disk_without_room_is_said_before_anything_is_fetched() {
    let folder = std::env::temp_dir().join(format!("archive-full-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("folder");
    let output = on_small_disk(&folder);
    fs::remove_dir_all(&folder).expect("clean up");
    let error = error(&output);
    assert_eq!(output.status.code(), Some(125), "{error}");
    assert!(
        matches!(own_lines(&error)[..], [line] if line.contains("no room: the set-up needs about")),
        "{error}"
    );
}

/// Runs the rig with an empty cache on a disk of 64 MiB, mounted where nobody else sees it.
fn on_small_disk(folder: &Path) -> Output {
    let xtask = xtask_command(&[]);
    let mut command = root_command("unshare");
    command
        .args([
            "--mount",
            "sh",
            "-ec",
            "mount -t tmpfs -o size=64m none \"$1\"; shift; exec \"$@\"",
            "sh",
        ])
        .arg(folder)
        .arg("env")
        .arg("-u")
        .arg("MCKERNEL_KERNEL")
        .arg(format!("MCKERNEL_CACHE={}", folder.display()))
        .arg(xtask.get_program())
        .args(xtask.get_args())
        .args(["vm", "--no-lwk", "--no-build", "--", "true"])
        .current_dir(tests::repository());
    command.stdin(Stdio::null()).output().expect("unshare")
}
