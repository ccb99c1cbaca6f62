// SPDX-License-Identifier: GPL-2.0
//! The surroundings that a program expects of a running system: mounts, links in /dev, host name, loopback; and the
//! way out.

use anyhow::{Context, Result};
use nix::mount::{mount, MsFlags};
use nix::sys::reboot::{reboot, RebootMode};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;

/// (type, where, options); /proc, /sys and /dev are there already.
const MOUNTS: [(&str, &str, Option<&str>); 6] = [
    ("devpts", "/dev/pts", Some("ptmxmode=666,mode=620,gid=5")),
    ("tmpfs", "/dev/shm", Some("mode=1777")),
    ("tmpfs", "/run", Some("mode=755")),
    ("tmpfs", "/tmp", Some("mode=1777")),
    ("cgroup2", "/sys/fs/cgroup", None),
    ("debugfs", "/sys/kernel/debug", None),
];

const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("fd/0", "/dev/stdin"),
    ("fd/1", "/dev/stdout"),
    ("fd/2", "/dev/stderr"),
];

/// Makes the guest look like a booted Debian.
///
/// # Errors
/// A mount or link that could not be made; the guest is then of no use.
pub(crate) fn prepare() -> Result<()> {
    for (kind, target, options) in MOUNTS {
        let _ = fs::create_dir(target);
        mount(Some(kind), target, Some(kind), MsFlags::empty(), options)
            .with_context(|| format!("mount {target}"))?;
    }
    for (target, link) in LINKS {
        symlink(target, link).with_context(|| link.to_string())?;
    }
    nix::unistd::sethostname("guest").context("hostname")?;
    // What the guest has of its own for that is another package.
    let status = Command::new("/bin/busybox")
        .args(["ip", "link", "set", "lo", "up"])
        .status()
        .context("ip")?;
    anyhow::ensure!(status.success(), "loopback: ip said {status}");
    std::env::set_current_dir("/root").context("/root")
}

/// Writes one line to the serial console, which the host keeps as a log.
pub(crate) fn console_line(text: &str) {
    if let Ok(mut console) = fs::File::options().write(true).open("/dev/console") {
        let _ = writeln!(console, "{text}");
    }
}

/// Ends the guest; the root is throw-away, so nothing is synced. Never returns.
pub(crate) fn power_off() -> ! {
    let error = reboot(RebootMode::RB_POWER_OFF);
    console_line(&format!("guest-init: power off: {error:?}"));
    loop {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}
