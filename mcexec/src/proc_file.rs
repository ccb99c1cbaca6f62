// SPDX-License-Identifier: GPL-2.0
//! Files of `/proc`, which have no size: read at once, with as few calls as that takes. Every start
//! of a program reads several.

use std::fs::File;
use std::io::Read;

/// Longer than any of those that are read here.
const USUAL_BYTES: usize = 8 << 10;

/// What is in the file at `path`; nothing if it cannot be read.
#[must_use]
pub(crate) fn read(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    if let Ok(file) = File::open(path) {
        // `take` keeps the library from asking for the size. What was read before an error counts.
        let _ = file.take(u64::MAX).read_to_end(&mut bytes);
    }
    bytes
}

/// The text in the file at `path`; empty if it cannot be read.
#[must_use]
pub(crate) fn read_text(path: &str) -> String {
    String::from_utf8(read(path)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{read, read_text};

    #[test]
    fn whole_files_are_read() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert_eq!(
            read_text("/proc/self/maps").lines().count() > 5,
            maps.lines().count() > 5
        );
        assert_eq!(
            read("/proc/self/cmdline"),
            std::fs::read("/proc/self/cmdline").unwrap()
        );
        assert!(read("/proc/self/none").is_empty());
    }
}
