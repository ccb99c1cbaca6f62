// SPDX-License-Identifier: GPL-2.0
//! Traces that one command of a session could leave to the next one.
//!
//! Processes are killed, temporary files removed, and the caches dropped. What else a command may have changed for good
//! is compared; a machine on which something differs is for the host to give up.

use crate::run;
use guest_init::Word;
use nix::errno::Errno;
use nix::sys::wait::{waitpid, WaitPidFlag, WaitStatus};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long killed processes may take to go, and Linux to let go of what they had.
const LIMIT: Duration = Duration::from_secs(5);

/// Where commands put what they do not mean to keep.
const TEMPORARY: [&str; 3] = ["/tmp", "/dev/shm", "/root"];

/// Files whose text is the same before and after a command that leaves nothing behind.
const TEXTS: [&str; 10] = [
    "/sys/devices/system/cpu/online",
    "/proc/mounts",
    "/proc/sysvipc/msg",
    "/proc/sysvipc/sem",
    "/proc/sysvipc/shm",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/vm/nr_hugepages",
    "/proc/sys/vm/overcommit_memory",
    "/sys/kernel/mm/transparent_hugepage/enabled",
];

/// Folders in which the names that begin so are the same before and after. Linux may have loaded other modules than
/// ours meanwhile, which do no harm.
const FOLDERS: [(&str, &str); 4] = [
    ("/sys/fs/cgroup", ""),
    ("/dev", "mc"),
    ("/sys/module", "ihk"),
    ("/sys/module", "mcctrl"),
];

/// What the machine looks like before a command.
pub(crate) struct Before {
    /// What is compared: where it was found, and what was there.
    state: BTreeMap<String, String>,
    /// The names in each folder of [`TEMPORARY`].
    names: [Vec<String>; 3],
}

/// Looks at the machine.
pub(crate) fn now() -> Before {
    Before {
        state: state(),
        names: TEMPORARY.map(entries),
    }
}

fn state() -> BTreeMap<String, String> {
    let texts = TEXTS.map(|path| {
        (
            path.to_string(),
            fs::read_to_string(path).unwrap_or_default(),
        )
    });
    let folders = FOLDERS.map(|(folder, start)| {
        let mut names = entries(folder);
        names.retain(|name| name.starts_with(start));
        (format!("{folder}/{start}*"), names.join(" "))
    });
    let numbers = [
        ("MemTotal".to_string(), total_memory()),
        ("kernel.tainted".to_string(), taint().to_string()),
    ];
    texts.into_iter().chain(folders).chain(numbers).collect()
}

/// Removes what can be removed, by the command `after` too; returns where something differs from `before` all the same.
pub(crate) fn remove(before: &Before, after: &[Word]) -> String {
    let deadline = Instant::now() + LIMIT;
    while !no_process_is_left() {
        if Instant::now() > deadline {
            return "processes".into();
        }
        sleep(Duration::from_millis(5));
    }
    if let Err(error) = run::helper(after) {
        return format!("{error:#}");
    }
    for (folder, names) in TEMPORARY.iter().zip(&before.names) {
        empty(Path::new(folder), names);
    }
    let _ = fs::write("/proc/sys/vm/drop_caches", "3\n");
    let _ = fs::write("/proc/sys/vm/compact_memory", "1\n");
    loop {
        let now = state();
        let differs = |path: &&String| before.state.get(*path) != now.get(*path);
        let left: Vec<&str> = now.keys().filter(differs).map(String::as_str).collect();
        if left.is_empty() || Instant::now() > deadline {
            return left.join(", ");
        }
        sleep(Duration::from_millis(50));
    }
}

/// Kills every other process that is left and reaps those that have gone; returns whether that was every one.
fn no_process_is_left() -> bool {
    run::kill_everyone_else();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return true,
        }
    }
}

/// Removes everything in a folder but what is called `names`.
fn empty(folder: &Path, names: &[String]) {
    let is_new = |entry: &fs::DirEntry| !names.iter().any(|name| **name == *entry.file_name());
    for entry in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_new)
    {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _ = if is_folder {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
    }
}

/// The names in a folder, in order.
fn entries(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn total_memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    text.lines().next().unwrap_or_default().into()
}

/// The flags of kernel.tainted that something bad sets (Linux, `admin-guide/tainted-kernels.rst`): 5 a bad page, 7 an
/// oops, 9 a warning, 14 a lockup.
fn taint() -> u64 {
    const BAD: u64 = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;
    let text = fs::read_to_string("/proc/sys/kernel/tainted").unwrap_or_default();
    text.trim().parse().unwrap_or(0) & BAD
}
