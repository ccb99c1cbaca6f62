// SPDX-License-Identifier: GPL-2.0
//! `/proc` and `/sys` as programs see them: the co-kernel's truth in place of Linux's view of the
//! proxy.
//!
//! A path says nothing, because there are many to one file. So Linux opens the file first. The open
//! file says which one it is, and if it is one of ours, its descriptor gets a file in memory with
//! our text. The text is made when the file is opened, and anew when it is read from the beginning
//! again.

pub(crate) mod ask;
pub(crate) mod descriptor;
pub(crate) mod files;
mod machine;
pub(crate) mod memory;
mod process;
pub(crate) mod snapshot;
mod subject;
pub(crate) mod sysfs;
mod view;

use std::os::fd::RawFd;
use std::path::Path;

use nix::libc;

use crate::syscall::{self, Answer};
use descriptor::{file_system, path_of};
use subject::Subject;
use view::View;

/// Returns the threads of the process whose directory of threads is `path`, if it is a program of
/// the co-kernel.
pub(crate) fn threads_listed_in(path: &Path) -> Option<Vec<i32>> {
    let mut names = path.strip_prefix("/proc").ok()?.iter();
    let pid = names.next()?.to_str()?.parse().ok()?;
    if names.next()? != "task" || names.next().is_some() {
        return None;
    }
    threads_of(pid)
}

/// Returns whether `path` is in the directory of a thread that a program of the co-kernel does not
/// have: the thread has ended and its worker waits for another one, or it is mcexec's own.
pub(crate) fn is_of_no_thread(path: &Path) -> bool {
    thread_named_in(path)
        .and_then(|(pid, tid)| Some(!threads_of(pid)?.contains(&tid)))
        .unwrap_or(false)
}

/// Returns the ids of the process and of the thread in `/proc/PID/task/TID…`.
fn thread_named_in(path: &Path) -> Option<(i32, i32)> {
    let mut names = path.strip_prefix("/proc").ok()?.iter();
    let pid = match names.next()?.to_str()? {
        "self" => std::process::id().cast_signed(),
        other => other.parse().ok()?,
    };
    let tid = names
        .next()
        .filter(|name| *name == "task")
        .and(names.next())?;
    Some((pid, tid.to_str()?.parse().ok()?))
}

/// Returns the ids of the threads of process `pid`, if it is a program of the co-kernel.
fn threads_of(pid: i32) -> Option<Vec<i32>> {
    let subject = Subject { pid, thread: None };
    let threads = ask::threads(subject.question()).ok()?;
    let ids = threads
        .iter()
        .filter_map(|thread| i32::try_from(thread.tid).ok());
    Some(ids.collect())
}

/// The kind of file system of `/sys`.
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// `O_PATH` as an argument.
const O_PATH: u64 = libc::O_PATH as u64;

/// Puts our text in the place of what a call with `flags` has opened, if that is a file of ours.
/// `answer` is what the call answered. Returns what it answers now.
pub(crate) fn opened(answer: Answer, flags: u64) -> Answer {
    let Ok(Ok(fd)) = answer.map(RawFd::try_from) else {
        return answer;
    };
    match file_system(fd) {
        // It cannot be read, only opened again, which comes here again.
        Some(libc::PROC_SUPER_MAGIC) if flags & O_PATH != 0 => return answer,
        Some(libc::PROC_SUPER_MAGIC) => {}
        Some(SYSFS_MAGIC) => return sysfs::opened(fd, flags),
        _ => return answer,
    }
    if let Some(view) = path_of(fd).and_then(|path| View::of(&path)) {
        // Without a text of ours Linux's stays: it is somebody else's, or the file has gone.
        if let Ok(text) = view.text() {
            if let Err(errno) = snapshot::put(fd, view, &text) {
                let _ = nix::unistd::close(fd);
                return Err(errno.into());
            }
        }
    }
    answer
}

/// Performs `sysinfo` with the co-kernel's memory.
pub(crate) fn system_information(args: [u64; 6]) -> Answer {
    let answer = syscall::perform(libc::SYS_sysinfo.cast_unsigned(), args)?;
    machine::amend_sysinfo(args[0])?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::thread_named_in;

    #[test]
    fn threads_are_named_in_paths_of_their_directories() {
        let named = |path: &str| thread_named_in(Path::new(path));
        let own = std::process::id().cast_signed();
        assert_eq!(named("/proc/12/task/13"), Some((12, 13)));
        assert_eq!(named("/proc/self/task/13/comm"), Some((own, 13)));
        assert_eq!(named("/proc//12/task//13/"), Some((12, 13)));
        for other in [
            "/proc/12/task",
            "/proc/12/fd/13",
            "/proc/12",
            "/proc/stat",
            "/tmp/12/task/13",
            "12/task/13",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
