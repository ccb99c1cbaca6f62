// SPDX-License-Identifier: GPL-2.0
//! `/proc/self/exe`: Linux's link names mcexec, but the program must find itself.

use nix::errno::Errno;
use nix::libc;

use super::path_argument::PathArgument;
use super::raw::raw;
use super::Program;
use crate::syscall::Answer;
use crate::{procfs, window};

/// Returns whether a path is that link. If it has another spelling than the usual ones, the link
/// itself is opened, to see which one it is.
fn is_meant(argument: &PathArgument) -> bool {
    let path = argument.bytes();
    let ends_alike = path == b"exe" || path.ends_with(b"/exe");
    let is_spelled = || is_spelling(path, std::process::id()) && is_there(argument);
    ends_alike && (is_spelled() || leads_to_link(argument))
}

/// Returns whether there is something at the path: without `/proc` there is no link.
fn is_there(argument: &PathArgument) -> bool {
    let no_follow = u64::from(libc::AT_SYMLINK_NOFOLLOW.cast_unsigned());
    let args = [argument.directory, argument.address, 0, no_follow, 0, 0];
    raw(libc::SYS_faccessat2, args).is_ok()
}

fn leads_to_link(argument: &PathArgument) -> bool {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let flags = u64::from(flags.cast_unsigned());
    let args = [argument.directory, argument.address, flags, 0, 0, 0];
    let Ok(Ok(fd)) = raw(libc::SYS_openat, args).map(i32::try_from) else {
        return false;
    };
    let path = procfs::descriptor::path_of(fd);
    let _ = nix::unistd::close(fd);
    let own = format!("/proc/{}", std::process::id());
    path.is_some_and(|path| path.starts_with(own) && path.ends_with("exe"))
}

fn is_spelling(path: &[u8], pid: u32) -> bool {
    let name = path
        .strip_prefix(b"/proc/")
        .and_then(|rest| rest.strip_suffix(b"/exe"));
    name.is_some_and(|name| {
        matches!(name, b"self" | b"thread-self") || name == pid.to_string().as_bytes()
    })
}

/// Performs `readlink` or `readlinkat`, in which the buffer's address and length come after the
/// path.
pub(crate) fn read_link(
    program: &Program,
    call: libc::c_long,
    args: [u64; 6],
    argument: &PathArgument,
) -> Answer {
    if !is_meant(argument) {
        return raw(call, args);
    }
    let (address, bytes) = (args[argument.index + 1], args[argument.index + 2]);
    // `int` in Linux, and not positive is an error.
    #[expect(clippy::cast_possible_truncation, reason = "as Linux does")]
    let bytes = match usize::try_from((bytes as u32).cast_signed()) {
        Ok(bytes) if bytes > 0 => bytes,
        _ => return Err(Errno::EINVAL.into()),
    };
    let text = program.path.as_bytes();
    let text = text.get(..bytes.min(text.len())).unwrap_or(text);
    window::write(address, text)?;
    Ok(text.len() as u64)
}

/// Performs a call that follows the link.
pub(crate) fn follow(
    program: &Program,
    call: libc::c_long,
    mut args: [u64; 6],
    argument: &PathArgument,
) -> Answer {
    if is_meant(argument) && !stops_at_link(call, &args) {
        args[argument.index] = program.path.as_ptr().addr() as u64;
    }
    raw(call, args)
}

/// Returns whether the call asks for the link itself.
fn stops_at_link(call: libc::c_long, args: &[u64; 6]) -> bool {
    let no_follow = u64::from(libc::AT_SYMLINK_NOFOLLOW.cast_unsigned());
    let open_no_follow = u64::from(libc::O_NOFOLLOW.cast_unsigned());
    match call {
        libc::SYS_newfstatat | libc::SYS_faccessat2 => args[3] & no_follow != 0,
        libc::SYS_statx => args[2] & no_follow != 0,
        libc::SYS_open => args[1] & open_no_follow != 0,
        libc::SYS_openat => args[2] & open_no_follow != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_spelling;

    #[test]
    fn the_link_is_known_in_all_its_spellings() {
        for path in ["/proc/self/exe", "/proc/thread-self/exe", "/proc/42/exe"] {
            assert!(is_spelling(path.as_bytes(), 42), "{path}");
        }
        for path in ["/proc/43/exe", "/proc/self/exe2", "/proc/self", "exe", ""] {
            assert!(!is_spelling(path.as_bytes(), 42), "{path}");
        }
    }
}
