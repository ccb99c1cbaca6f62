// SPDX-License-Identifier: GPL-2.0
//! Finds and opens programs as `execvp` and `execve` do.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{access, AccessFlags};

use crate::error::ExecError;

/// The folders in which programs are searched for without PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// Returns the path of program `name`. A name without a slash is searched for in the PATH of
/// `environment`.
///
/// # Errors
///
/// `ENOENT` if it is not found, `EACCES` if all that is found is not executable.
pub(crate) fn find(name: &OsStr, environment: &[CString]) -> Result<PathBuf, ExecError> {
    if name.as_bytes().contains(&b'/') {
        return Ok(PathBuf::from(name));
    }
    let not_found = || ExecError::new(Errno::ENOENT, "not found in PATH");
    if name.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let path = environment
        .iter()
        .find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    let mut error = None;
    for folder in path.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':') {
        let folder = if folder.is_empty() { b"." } else { folder };
        let candidate = Path::new(OsStr::from_bytes(folder)).join(name);
        match check_executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(refused) if refused.errno == Errno::EACCES => error = Some(refused),
            Err(_) => {}
        }
    }
    Err(error.unwrap_or_else(not_found))
}

/// Opens the program at `path`.
///
/// # Errors
///
/// The error is the one that `execve` would have.
pub(crate) fn open(path: &Path) -> Result<File, ExecError> {
    check_executable(path)?;
    File::open(path).map_err(|error| match ExecError::from(error) {
        refused if refused.errno == Errno::EACCES => {
            ExecError::new(Errno::EACCES, "mcexec must be able to read the program")
        }
        refused => refused,
    })
}

fn check_executable(path: &Path) -> Result<(), ExecError> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(ExecError::new(Errno::EACCES, "is a directory"));
    }
    if !metadata.is_file() {
        return Err(ExecError::new(Errno::EACCES, "not a regular file"));
    }
    Ok(access(path, AccessFlags::X_OK)?)
}

#[cfg(test)]
mod tests {
    use super::{find, open};
    use nix::errno::Errno;
    use std::ffi::{CString, OsStr};
    use std::path::{Path, PathBuf};

    fn find_in(path: &str, name: &str) -> Result<PathBuf, Errno> {
        let environment = [CString::new(format!("PATH={path}")).unwrap()];
        find(OsStr::new(name), &environment).map_err(|error| error.errno)
    }

    #[test]
    fn path_is_searched_in_order() {
        assert_eq!(
            find_in("/nowhere:/bin:/usr/bin", "sh"),
            Ok("/bin/sh".into())
        );
        assert_eq!(find_in("/nowhere", "sh"), Err(Errno::ENOENT));
        assert_eq!(find_in("/bin", ""), Err(Errno::ENOENT));
        assert_eq!(find_in("/etc", "passwd"), Err(Errno::EACCES));
        assert_eq!(find_in("/nowhere", "./x"), Ok("./x".into()));
    }

    #[test]
    fn what_is_no_program_is_not_opened() {
        let errno = |path: &str| open(Path::new(path)).err().map(|error| error.errno);
        assert_eq!(errno("/bin"), Some(Errno::EACCES));
        assert_eq!(errno("/dev/null"), Some(Errno::EACCES));
        assert_eq!(errno("/etc/passwd"), Some(Errno::EACCES));
        assert_eq!(errno("/bin/sh/x"), Some(Errno::ENOTDIR));
        assert_eq!(errno("/bin/sh"), None);
    }
}
