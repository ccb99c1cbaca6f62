// SPDX-License-Identifier: GPL-2.0
//! Hop 6.1 of a delegated call: if the call looks a path up, the path is read.
//!
//! The program can change its memory at any time, so it is read once, and what was read is judged.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ihk_ikc::syscalls::Class;
use nix::libc;

use crate::window;

/// No path that is of interest here is so long.
const LONGEST: usize = 256;

/// The path that a call names. One that is longer than any that matters is cut.
pub(crate) struct PathArgument {
    /// Index of the argument that is the path.
    pub index: usize,
    /// The descriptor that the path is relative to. `AT_FDCWD` stands for the current directory.
    pub directory: u64,
    /// Address of the path in the program.
    pub address: u64,
    bytes: [u8; LONGEST],
    length: usize,
}

impl PathArgument {
    /// Reads the path that a call of `class` with `args` looks up. Returns `None` if it looks up no
    /// path of interest, or if there is no memory at the path's address.
    #[must_use]
    pub(crate) fn of(class: Class, args: &[u64; 6]) -> Option<Self> {
        let (directory, index) = indices(class)?;
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let mut argument = Self {
            index,
            directory: directory.map_or(here, |index| args[index]),
            address: args[index],
            bytes: [0; LONGEST],
            length: 0,
        };
        let count = window::read(argument.address, &mut argument.bytes).ok()?;
        let bytes = argument.bytes.get(..count)?;
        argument.length = bytes.iter().position(|byte| *byte == 0).unwrap_or(count);
        Some(argument)
    }

    /// Returns the bytes of the path.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Returns the path.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.bytes()))
    }

    /// Returns the descriptor as the `int` that it is in Linux.
    #[must_use]
    pub(crate) const fn directory(&self) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "an int in Linux")]
        let low = self.directory as u32;
        low.cast_signed()
    }
}

/// Returns the indices of those arguments of a call of `class` that are the directory's descriptor,
/// if there is one, and the path.
const fn indices(class: Class) -> Option<(Option<usize>, usize)> {
    if class.has(Class::PATH_FIRST) {
        Some((None, 0))
    } else if class.has(Class::PATH_AT) {
        Some((Some(0), 1))
    } else {
        None
    }
}
