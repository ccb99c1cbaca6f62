// SPDX-License-Identifier: GPL-2.0
//! Programs that only Linux can execute, started by hand: with set-ids or capabilities of their own, not
//! readable, or of another binary format. mcexec executes them as another program would
//! (`docs/decisions/68-exec-is-linuxs-own.md`), and Linux loads it once more for them. All others are
//! loaded by this process itself, which is faster.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ihk_ikc::uapi::Execute;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::execve;

use super::cli::Run;
use super::prepare::Inheritance;
use crate::device;
use crate::error::{ExecError, StartError};
use crate::image::find;

/// Returns whether `file` gives its program more rights than mcexec has.
pub(crate) fn has_rights(file: &File) -> bool {
    let mode = file.metadata().map_or(0, |metadata| metadata.mode());
    let set_group = libc::S_ISGID | libc::S_IXGRP;
    mode & libc::S_ISUID != 0 || mode & set_group == set_group || has_capabilities(file)
}

fn has_capabilities(file: &File) -> bool {
    let name = c"security.capability".as_ptr();
    // SAFETY: a question about the attribute's size; nothing is written.
    unsafe { libc::fgetxattr(file.as_raw_fd(), name, std::ptr::null_mut(), 0) > 0 }
}

/// Returns whether a program that could not be prepared because of `error` is one for Linux.
pub(crate) fn may_know(error: &ExecError) -> bool {
    // A malformed ELF file has its details, a file of another format has none.
    let is_other_format = error.errno == Errno::ENOEXEC && error.detail.is_empty();
    error.is_for_linux || is_other_format || error.errno == Errno::EACCES
}

/// Executes the program. Returns only if it cannot be, with Linux's error.
///
/// # Errors
///
/// Always; `error`, why it could not be prepared, if Linux has no other.
pub(crate) fn execute(
    run: &Run,
    inheritance: &Inheritance,
    error: ExecError,
) -> Result<ExecError, StartError> {
    let Some(path) = path(run, inheritance) else {
        return Ok(error);
    };
    let argv: Result<Vec<CString>, _> = run
        .argv
        .iter()
        .map(|text| CString::new(text.as_bytes()))
        .collect();
    let Ok(argv) = argv else { return Ok(error) };
    device::open(run.os)?;
    let execution = Execute {
        cpu: run.cpu.map_or(-1, u32::cast_signed),
        ..Execute::default()
    };
    device::announce_execution(execution)
        .map_err(|errno| StartError::of_linux(format!("os {}", run.os), errno))?;
    let refused = match execve(&path, &argv, &inheritance.environment) {
        Ok(never) => match never {},
        Err(errno) => errno,
    };
    device::withdraw_execution();
    // 524: what no other format may run, either.
    let is_nowhere = refused as i32 == 524 || refused == Errno::UnknownErrno;
    Ok(if refused == error.errno || is_nowhere {
        error
    } else {
        refused.into()
    })
}

fn path(run: &Run, inheritance: &Inheritance) -> Option<CString> {
    let name = run.argv.first()?;
    let path = find::find(name, &inheritance.environment).ok()?;
    CString::new(Path::as_os_str(&path).as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::has_rights;
    use std::fs::{File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn set_ids_are_rights() {
        let path = std::env::temp_dir().join(format!("rights-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        for (mode, wanted) in [
            (0o755, false),
            (0o4755, true),
            (0o2755, true),
            (0o2745, false),
        ] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(has_rights(&file), wanted, "{mode:o}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
