// SPDX-License-Identifier: GPL-2.0
//! Reads files of `/proc`, which have no size, with as few calls as possible. Every start of a
//! program reads several.

use std::fs::File;
use std::io::Read;

/// The room for a file at first: none of those that are read here is longer.
const USUAL_BYTES: usize = 8 << 10;

/// Returns the bytes of the file at `path`, or none if it cannot be read.
#[must_use]
pub(crate) fn read(path: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    if let Ok(file) = File::open(path) {
        // `take` keeps the library from asking for the size. Bytes that were read before an error
        // count.
        let _ = file.take(u64::MAX).read_to_end(&mut bytes);
    }
    bytes
}

/// Returns the text of the file at `path`, or an empty one if it cannot be read.
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
