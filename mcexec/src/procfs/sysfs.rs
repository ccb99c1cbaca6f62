// SPDX-License-Identifier: GPL-2.0
//! `/sys/devices/system/{cpu,node}` as the co-kernel is: a tree of plain files that was written
//! when the instance was booted.
//!
//! A path that names something there goes to the tree. A file that was opened there by another path
//! is opened again in the tree. From there on, relative paths stay in it.

use std::ffi::CString;
use std::os::fd::RawFd;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

use nix::libc;

use super::descriptor::path_of;
use crate::syscall::{self, Answer};

/// The folder of all trees.
const FOLDER: &str = "/run/ihk";
/// The parts of `/sys` that a tree has.
const SHOWN: [&str; 2] = ["/sys/devices/system/cpu", "/sys/devices/system/node"];

static TREE: OnceLock<Option<PathBuf>> = OnceLock::new();
/// Whether the program's current directory lies in `/sys`.
static IS_IN_SYS: AtomicBool = AtomicBool::new(false);

/// Notes that the program runs on instance `os`.
pub(crate) fn set_instance(os: u32) {
    let tree = Path::new(FOLDER).join(format!("os{os}"));
    let _ = TREE.set(tree.is_dir().then_some(tree));
    note_directory();
}

/// Notes that the current directory may have changed.
pub(crate) fn note_directory() {
    let is_in_sys = std::env::current_dir().is_ok_and(|path| path.starts_with("/sys"));
    IS_IN_SYS.store(is_in_sys, Ordering::Relaxed);
}

/// Returns the tree, if there is one.
pub(super) fn tree() -> Option<&'static PathBuf> {
    TREE.get()?.as_ref()
}

/// Returns where in the tree `path` is meant to be, if it is. A relative path begins at descriptor
/// `directory`.
pub(crate) fn redirect(directory: RawFd, path: &Path) -> Option<CString> {
    let tree = tree()?;
    if path.is_absolute() {
        return place_in(tree, path);
    }
    let start = if directory == libc::AT_FDCWD {
        IS_IN_SYS
            .load(Ordering::Relaxed)
            .then(|| std::env::current_dir().ok())??
    } else {
        path_of(directory).filter(|path| path.starts_with("/sys"))?
    };
    place_in(tree, &start.join(path))
}

/// Returns where in `tree` the absolute `path` lies, if it names something there.
fn place_in(tree: &Path, path: &Path) -> Option<CString> {
    // Every spelling has this part; most paths have not.
    if !path.components().any(|part| part.as_os_str() == "devices") {
        return None;
    }
    let path = normal(path);
    if !SHOWN.iter().any(|shown| path.starts_with(shown)) {
        return None;
    }
    let inside = tree.join(path.strip_prefix("/").ok()?);
    CString::new(inside.into_os_string().into_encoded_bytes()).ok()
}

/// Returns `path` without `.` and `..`, as if there were no symbolic links.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    normal
}

/// Lets descriptor `fd`, which was opened with `flags` somewhere in `/sys`, lead to the tree if
/// that has the file, too. Returns the answer of the call.
pub(super) fn opened(fd: RawFd, flags: u64) -> Answer {
    let Some(place) = tree().and_then(|tree| place_in(tree, &path_of(fd)?)) else {
        return Ok(fd.unsigned_abs().into());
    };
    let number = fd.unsigned_abs().into();
    let directory = i64::from(libc::AT_FDCWD).cast_unsigned();
    let path = place.as_ptr().expose_provenance() as u64;
    let perform = |call: libc::c_long, args| syscall::perform(call.cast_unsigned(), args);
    let again = perform(libc::SYS_openat, [directory, path, flags, 0, 0, 0]);
    let Ok(again) = again else {
        let _ = perform(libc::SYS_close, [number, 0, 0, 0, 0, 0]);
        return again;
    };
    let closes = flags & u64::from(libc::O_CLOEXEC.cast_unsigned());
    let answer = perform(libc::SYS_dup3, [again, number, closes, 0, 0, 0]);
    let _ = perform(libc::SYS_close, [again, 0, 0, 0, 0, 0]);
    answer
}

#[cfg(test)]
mod tests {
    use super::place_in;
    use std::path::Path;

    #[test]
    fn only_what_the_tree_has_is_looked_for_in_it() {
        let place = |path| {
            let place = place_in(Path::new("/run/x"), Path::new(path));
            place.map(|place| place.into_string().unwrap())
        };
        let cpu = Some("/run/x/sys/devices/system/cpu/cpu1/online".to_owned());
        assert_eq!(place("/sys/devices/system/cpu/cpu1/online"), cpu);
        assert_eq!(
            place("//sys/bus/../devices/./system/cpu/cpu0/../cpu1/online"),
            cpu
        );
        for path in [
            "/sys/devices/system/cpufreq",
            "/sys/devices/system/cpu/../clock",
            "/sys",
            "/sys/devices/system",
            "/proc/cpuinfo",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
    }
}
