// SPDX-License-Identifier: GPL-2.0
//! `/proc/self/exe`: Linux's link names mcexec, the program must find itself.

use nix::libc;

use super::perform::raw;
use super::Program;
use crate::window;

/// Longer than any spelling of the link.
const LONGEST: usize = 32;

/// Whether the path at `address` of the program is that link.
fn is_meant(address: u64) -> bool {
    let mut bytes = [0; LONGEST];
    let Ok(count) = window::read(address, &mut bytes) else {
        return false;
    };
    let mut parts = bytes
        .get(..count)
        .unwrap_or_default()
        .split(|byte| *byte == 0);
    parts
        .next()
        .is_some_and(|path| is_spelling(path, std::process::id()))
}

fn is_spelling(path: &[u8], pid: u32) -> bool {
    let name = path
        .strip_prefix(b"/proc/")
        .and_then(|rest| rest.strip_suffix(b"/exe"));
    name.is_some_and(|name| {
        matches!(name, b"self" | b"thread-self") || name == pid.to_string().as_bytes()
    })
}

/// `readlink` and `readlinkat` of the path at `path` into `buffer` (address, bytes).
#[must_use]
pub(crate) fn read_link(
    program: &Program,
    call: libc::c_long,
    args: [u64; 6],
    path: u64,
    buffer: [u64; 2],
) -> i64 {
    if !is_meant(path) {
        return raw(call, args);
    }
    let [address, bytes] = buffer;
    // `int` in Linux, and not positive is an error.
    #[expect(clippy::cast_possible_truncation, reason = "as Linux does")]
    let bytes = match usize::try_from((bytes as u32).cast_signed()) {
        Ok(bytes) if bytes > 0 => bytes,
        _ => return -i64::from(libc::EINVAL),
    };
    let text = program.path.as_bytes();
    let text = text.get(..bytes.min(text.len())).unwrap_or(text);
    match window::write(address, text) {
        Ok(()) => text.len().try_into().unwrap_or(i64::MAX),
        Err(errno) => -i64::from(errno as i32),
    }
}

/// A call that follows the link in argument `index`.
#[must_use]
pub(crate) fn follow(
    program: &Program,
    call: libc::c_long,
    mut args: [u64; 6],
    index: usize,
) -> i64 {
    if let Some(path) = args.get_mut(index) {
        if is_meant(*path) && !stops_at_link(call, &args) {
            args[index] = program.path.as_ptr().addr() as u64;
        }
    }
    raw(call, args)
}

/// Calls that ask for the link itself.
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
