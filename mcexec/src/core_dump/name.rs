// SPDX-License-Identifier: GPL-2.0
//! The name of a core by `kernel.core_pattern`, see core(5).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::utsname::uname;
use nix::unistd::{getgid, gettid, getuid};

/// The facts that a pattern may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub pid: u32,
    pub tid: i32,
    pub uid: u32,
    pub gid: u32,
    pub signal: i32,
    pub limit: u64,
    pub seconds: u64,
    pub host: Vec<u8>,
    /// Name of the process.
    pub comm: Vec<u8>,
    /// `kernel.core_uses_pid`.
    pub uses_pid: bool,
}

impl Facts {
    /// Collects the facts of this process, which dies of `signal`.
    pub(super) fn of_this_process(signal: i32, limit: u64) -> Self {
        let read = |path| fs::read(path).unwrap_or_default();
        let mut comm = read("/proc/self/comm");
        comm.pop();
        Self {
            pid: std::process::id(),
            tid: gettid().as_raw(),
            uid: getuid().as_raw(),
            gid: getgid().as_raw(),
            signal,
            limit,
            seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            host: uname().map_or(Vec::new(), |name| name.nodename().to_owned().into_vec()),
            comm,
            uses_pid: read("/proc/sys/kernel/core_uses_pid").starts_with(b"1"),
        }
    }
}

/// Returns the path that `pattern` makes, or `None` if the pattern names no file.
pub(super) fn expand(pattern: &[u8], facts: &Facts) -> Option<PathBuf> {
    if pattern.is_empty() || matches!(pattern.first(), Some(b'|' | b'@')) {
        return None;
    }
    let mut name = Vec::new();
    let mut has_pid = false;
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            name.push(byte);
            continue;
        }
        // A single % at the end is dropped, as is what is not known.
        match bytes.next() {
            Some(b'%') => name.push(b'%'),
            Some(specifier @ (b'p' | b'P')) => {
                has_pid |= specifier == b'p';
                name.extend(facts.pid.to_string().bytes());
            }
            Some(specifier) => name.extend(value(specifier, facts)),
            None => {}
        }
    }
    if facts.uses_pid && !has_pid {
        name.extend(format!(".{}", facts.pid).bytes());
    }
    Some(OsString::from_vec(name).into())
}

fn value(specifier: u8, facts: &Facts) -> Vec<u8> {
    // A name that comes from outside must not lead into other directories.
    let safe = |text: &[u8]| -> Vec<u8> {
        let bytes = text
            .iter()
            .map(|byte| if *byte == b'/' { b'!' } else { *byte });
        match bytes.collect::<Vec<u8>>() {
            text if text == b"." || text == b".." => vec![b'!'; text.len()],
            text => text,
        }
    };
    match specifier {
        b'i' | b'I' => facts.tid.to_string().into_bytes(),
        b'u' => facts.uid.to_string().into_bytes(),
        b'g' => facts.gid.to_string().into_bytes(),
        b's' => facts.signal.to_string().into_bytes(),
        b't' => facts.seconds.to_string().into_bytes(),
        b'c' => facts.limit.to_string().into_bytes(),
        b'd' => b"1".to_vec(),
        b'h' => safe(&facts.host),
        b'e' | b'f' => safe(&facts.comm),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{expand, Facts};
    use std::path::Path;

    #[test]
    fn patterns_are_expanded_as_linux_does() {
        let facts = Facts {
            pid: 12,
            tid: 13,
            signal: 6,
            comm: b"a/b".to_vec(),
            ..Facts::default()
        };
        let name = |pattern: &str, facts| expand(pattern.as_bytes(), facts);
        assert_eq!(name("core", &facts).as_deref(), Some(Path::new("core")));
        let path = name("/x/%e.%p-%s%%%z%i%", &facts);
        assert_eq!(path.as_deref(), Some(Path::new("/x/a!b.12-6%13")));
        assert_eq!(name("|/bin/x", &facts), None);
        assert_eq!(name("", &facts), None);
        let with_pid = Facts {
            uses_pid: true,
            ..facts.clone()
        };
        assert_eq!(
            name("core", &with_pid).as_deref(),
            Some(Path::new("core.12"))
        );
        assert_eq!(name("c%p", &with_pid).as_deref(), Some(Path::new("c12")));
    }
}
