// SPDX-License-Identifier: GPL-2.0
//! The files that the program's memory came from.
//!
//! The co-kernel knows areas, and this process knows the files that it has read into them. An entry
//! may be out of date; only areas that the co-kernel calls parts of a file are looked up.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, MutexGuard};

use ihk_ikc::layout::PAGE_BYTES;
use nix::sys::stat::makedev;

use crate::image::{page_down, page_up};

/// A file that was mapped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MappedFile {
    /// Path of the file when it was mapped.
    pub path: Vec<u8>,
    /// Number of the device that it lies on.
    pub device: u64,
    /// Number of its inode.
    pub inode: u64,
}

/// A part of the address space that was read from a file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// One past its last address.
    pub end: u64,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// The file.
    pub file: Arc<MappedFile>,
}

/// The parts by first address, disjoint.
pub(crate) type Parts = BTreeMap<u64, Part>;

static PARTS: Mutex<Parts> = Mutex::new(BTreeMap::new());

/// Returns the parts, locked. They are kept locked over a fork, so that the child finds them whole.
pub(crate) fn parts() -> MutexGuard<'static, Parts> {
    PARTS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Notes that [`address`, `+ bytes`) comes from descriptor `fd`, from `offset` on. If the file
/// cannot be found out, nothing is noted: only texts of `/proc` depend on it.
pub(crate) fn note(fd: RawFd, offset: u64, address: u64, bytes: u64) {
    let link = format!("/proc/self/fd/{fd}");
    let (Ok(path), Ok(metadata)) = (std::fs::read_link(&link), std::fs::metadata(&link)) else {
        return;
    };
    let start = page_down(address);
    let part = Part {
        end: page_up(address.saturating_add(bytes)),
        offset: offset.saturating_sub(address - start),
        file: Arc::new(MappedFile {
            path: path.into_os_string().into_encoded_bytes(),
            device: metadata.dev(),
            inode: metadata.ino(),
        }),
    };
    enter(&mut parts(), start, part);
}

/// Returns what Linux has mapped for this process, where files that the program shares are mapped,
/// too.
pub(crate) fn mapped_here() -> Parts {
    let text = std::fs::read("/proc/self/maps").unwrap_or_default();
    let mut last = None;
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let (start, part) = parse_line(line, last.as_ref())?;
            last = Some(part.file.clone());
            Some((start, part))
        })
        .collect()
}

/// Reads a line of `maps` that has a file. A program may have thousands of them, mostly of the same
/// file as the `last` one.
fn parse_line(line: &[u8], last: Option<&Arc<MappedFile>>) -> Option<(u64, Part)> {
    let mut rest = line;
    let start = hex(field(&mut rest, b'-')?)?;
    let end = hex(field(&mut rest, b' ')?)?;
    field(&mut rest, b' ')?;
    let offset = hex(field(&mut rest, b' ')?)?;
    let device = makedev(hex(field(&mut rest, b':')?)?, hex(field(&mut rest, b' ')?)?);
    let inode = field(&mut rest, b' ')?;
    let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
    if inode == 0 {
        return None;
    }
    let path = rest.trim_ascii_start();
    let same =
        last.filter(|last| last.inode == inode && last.device == device && last.path == path);
    let file = same.cloned().unwrap_or_else(|| {
        Arc::new(MappedFile {
            path: unescaped(path),
            device,
            inode,
        })
    });
    Some((start, Part { end, offset, file }))
}

/// Takes what comes before the next `end`, and that, off `rest`.
fn field<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let length = rest.iter().position(|byte| *byte == end)?;
    let (field, others) = rest.split_at(length);
    *rest = &others[1..];
    Some(field)
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit.into())
    })
}

/// Puts line ends in the place of `\012`, as which Linux writes them in names.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, others)) = rest.split_first() {
        if let Some(others) = rest.strip_prefix(b"\\012") {
            bytes.push(b'\n');
            rest = others;
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    bytes
}

/// Puts `part`, which begins at `start`, in the place of what was there.
fn enter(parts: &mut Parts, start: u64, part: Part) {
    let overlapping: Vec<u64> = parts
        .range(..part.end)
        .rev()
        .take_while(|(_, other)| other.end > start)
        .map(|(first, _)| *first)
        .collect();
    for first in overlapping {
        let Some(other) = parts.remove(&first) else {
            continue;
        };
        if other.end > part.end {
            let offset = other.offset + (part.end - first);
            parts.insert(
                part.end,
                Part {
                    offset,
                    ..other.clone()
                },
            );
        }
        if first < start {
            parts.insert(
                first,
                Part {
                    end: start,
                    ..other
                },
            );
        }
    }
    parts.insert(start, part);
}

/// Returns the file at `address`, the offset there, and where the part ends. If there is no file,
/// the end is where the next part begins.
pub(crate) fn at(parts: &Parts, address: u64) -> (Option<(Arc<MappedFile>, u64)>, u64) {
    if let Some((start, part)) = parts.range(..=address).next_back() {
        if address < part.end {
            let offset = part.offset + (address - start);
            return (Some((part.file.clone(), offset)), part.end);
        }
    }
    let next = parts.range(address + PAGE_BYTES..).next();
    (None, next.map_or(u64::MAX, |(start, _)| *start))
}

#[cfg(test)]
mod tests {
    use super::{at, enter, parse_line, MappedFile, Part, Parts};
    use std::sync::Arc;

    fn part(end: u64, offset: u64, inode: u64) -> Part {
        Part {
            end,
            offset,
            file: Arc::new(MappedFile {
                path: Vec::new(),
                device: 1,
                inode,
            }),
        }
    }

    #[test]
    fn lines_of_maps_are_read_back() {
        let line = b"7f00-8f00 rw-s 00001000 103:0a 12                      /a b (deleted)";
        let (start, part) = parse_line(line, None).unwrap();
        assert_eq!(
            (start, part.end, part.offset, part.file.inode),
            (0x7f00, 0x8f00, 0x1000, 12)
        );
        assert_eq!(part.file.path, b"/a b (deleted)");
        let next = b"9000-a000 r--p 00000000 103:0a 12                      /a b (deleted)";
        let (_, another) = parse_line(next, Some(&part.file)).unwrap();
        assert!(Arc::ptr_eq(&another.file, &part.file));
        let other = b"9000-a000 r--p 00000000 103:0a 12                      /a\\012\xff";
        let (_, another) = parse_line(other, Some(&part.file)).unwrap();
        assert_eq!(another.file.path, b"/a\n\xff");
        for none in [
            &b"7f00-8f00 rw-p 00000000 00:00 0 "[..],
            b"",
            b"7f00-8f00",
            b"x-8f00 r 0 0:0 1 /a",
        ] {
            assert!(parse_line(none, None).is_none());
        }
    }

    #[test]
    fn a_later_file_replaces_the_pages_it_covers() {
        let mut parts = Parts::new();
        enter(&mut parts, 0x1000, part(0x9000, 0, 1));
        enter(&mut parts, 0x3000, part(0x5000, 0x7000, 2));
        let look = |address| {
            let (found, end) = at(&parts, address);
            (found.map(|(file, offset)| (file.inode, offset)), end)
        };
        assert_eq!(look(0x2000), (Some((1, 0x1000)), 0x3000));
        assert_eq!(look(0x4000), (Some((2, 0x8000)), 0x5000));
        assert_eq!(look(0x5000), (Some((1, 0x4000)), 0x9000));
        assert_eq!(look(0), (None, 0x1000));
        assert_eq!(look(0x9000), (None, u64::MAX));
    }
}
