// SPDX-License-Identifier: GPL-2.0
//! Calls that look a path up, and the path, read once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

use crate::window;

/// Longer than any path that is looked for.
const LONGEST: usize = 256;

/// The path that a call names. A longer one than any that matters is cut.
pub(crate) struct Named {
    /// Which argument is the path.
    pub index: usize,
    /// The descriptor that it is relative to, `AT_FDCWD` for the current directory.
    pub directory: u64,
    /// Where it is in the program.
    pub address: u64,
    bytes: [u8; LONGEST],
    length: usize,
}

impl Named {
    /// The path that `call` with `args` looks up; `None` if it looks up none, or it is not there.
    #[must_use]
    pub(crate) fn by(call: libc::c_long, args: &[u64; 6]) -> Option<Self> {
        let (directory, index) = places(call)?;
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let mut named = Self {
            index,
            directory: directory.map_or(here, |index| args[index]),
            address: args[index],
            bytes: [0; LONGEST],
            length: 0,
        };
        let count = window::read(named.address, &mut named.bytes).ok()?;
        let bytes = named.bytes.get(..count)?;
        named.length = bytes.iter().position(|byte| *byte == 0).unwrap_or(count);
        Some(named)
    }

    /// Its bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The path.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.bytes()))
    }

    /// The descriptor as the `int` it is.
    #[must_use]
    pub(crate) const fn directory(&self) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "an int in Linux")]
        let low = self.directory as u32;
        low.cast_signed()
    }
}

/// Which arguments of `call` are the directory's descriptor, if there is one, and the path.
const fn places(call: libc::c_long) -> Option<(Option<usize>, usize)> {
    match call {
        libc::SYS_open
        | libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_access
        | libc::SYS_readlink
        | libc::SYS_statfs
        | libc::SYS_chdir => Some((None, 0)),
        libc::SYS_openat
        | libc::SYS_openat2
        | libc::SYS_newfstatat
        | libc::SYS_statx
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_readlinkat => Some((Some(0), 1)),
        _ => None,
    }
}
