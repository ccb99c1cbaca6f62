// SPDX-License-Identifier: GPL-2.0
//! The text of `/proc/PID/{maps,smaps,smaps_rollup,statm}` of a program, in Linux's form.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use ihk_ikc::process::prot;
use ihk_ikc::view::{area, AreaView};
use nix::errno::Errno;
use nix::sys::stat::{major, minor};

use super::ask;
use super::files::{self, MappedFile};

/// Formats at the end of a `Vec` of bytes, which always has room.
macro_rules! append {
    ($text:expr, $($format:tt)*) => {
        // Writing to a Vec cannot fail.
        let _ = write!($text, $($format)*);
    };
}

/// Column in which the name of a line begins.
const NAME_COLUMN: usize = 73;

/// A line of `maps`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// The flags, which are those of [`AreaView::flags`].
    pub flags: u64,
    /// Bytes of the area that are there.
    pub resident: u64,
    /// Size of the pages, KiB. It is 4 where the co-kernel has chosen larger ones itself, as in
    /// Linux, unless all is in pages of 1 GiB.
    pub page_kib: u64,
    /// File and offset, if the area is part of a file.
    pub file: Option<(Arc<MappedFile>, u64)>,
}

impl Line {
    /// Returns the kind of the area, which is one of [`area`].
    pub(crate) const fn kind(&self) -> u64 {
        self.flags >> area::KIND_SHIFT
    }

    /// Returns whether the area has all rights of `bits`.
    pub(crate) fn may(&self, bits: u32) -> bool {
        self.flags & u64::from(bits) == u64::from(bits)
    }

    /// Returns the length in bytes.
    pub(crate) const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    fn name(&self) -> Cow<'_, [u8]> {
        if let Some((file, _)) = &self.file {
            return escaped(&file.path);
        }
        let name: &[u8] = match self.kind() {
            area::STACK => b"[stack]",
            area::HEAP => b"[heap]",
            area::SPECIAL if self.may(prot::EXEC) => b"[vdso]",
            area::SPECIAL => b"[vvar]",
            _ if self.flags & area::SHARED != 0 => b"/dev/zero (deleted)",
            _ => b"",
        };
        name.into()
    }

    /// Appends the line, with its end.
    fn append_to(&self, text: &mut Vec<u8>) {
        let right = |bit, letter| if self.may(bit) { letter } else { '-' };
        let (offset, device, inode) = match &self.file {
            Some((file, offset)) => (*offset, file.device, file.inode),
            None => (0, 0, 0),
        };
        let sharing = if self.flags & area::SHARED != 0 {
            's'
        } else {
            'p'
        };
        let begin = text.len();
        append!(
            text,
            "{:08x}-{:08x} {}{}{}{sharing} {offset:08x} {:02x}:{:02x} {inode} ",
            self.start,
            self.end,
            right(prot::READ, 'r'),
            right(prot::WRITE, 'w'),
            right(prot::EXEC, 'x'),
            major(device),
            minor(device),
        );
        let name = self.name();
        if !name.is_empty() {
            text.resize(text.len().max(begin + NAME_COLUMN), b' ');
            text.extend_from_slice(&name);
        }
        text.push(b'\n');
    }
}

/// Puts `\012` in the place of line ends in names, as Linux does.
fn escaped(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'\n') {
        return path.into();
    }
    let lines: Vec<&[u8]> = path.split(|byte| *byte == b'\n').collect();
    lines.join(&b"\\012"[..]).into()
}

/// Returns the lines of process `pid` (0 is the own one). Files are known of the own process only.
///
/// # Errors
///
/// It is no program of the co-kernel.
pub(crate) fn lines(pid: i32) -> Result<Vec<Line>, Errno> {
    let areas = ask::areas(pid)?;
    if pid != 0 {
        return Ok(areas
            .iter()
            .map(|area| line(area, area.start, area.end))
            .collect());
    }
    let mirrored = files::mapped_here();
    let parts = files::parts();
    let mut lines = Vec::with_capacity(areas.len());
    for area in &areas {
        let parts = match area.flags >> area::KIND_SHIFT {
            area::SEGMENT | area::FILE => &parts,
            area::MIRRORED => &mirrored,
            _ => {
                lines.push(line(area, area.start, area.end));
                continue;
            }
        };
        let mut at = area.start;
        while at < area.end {
            let (file, end) = files::at(parts, at);
            let end = end.min(area.end);
            let piece = line(area, at, end);
            lines.push(Line { file, ..piece });
            at = end;
        }
    }
    Ok(lines)
}

/// Returns the line of the piece from `start` to `end` of an area. Resident memory is spread evenly
/// over the pieces, because the co-kernel counts whole areas.
fn line(area: &AreaView, start: u64, end: u64) -> Line {
    let share = |bytes: u64| {
        let whole = u128::from(area.end - area.start);
        let part = u128::from(bytes) * u128::from(end - start) / whole.max(1);
        u64::try_from(part).unwrap_or(bytes)
    };
    let resident = if area.end - area.start == end - start {
        area.resident_bytes
    } else {
        share(area.resident_bytes) & !4095
    };
    let is_giant = area.giant_bytes != 0 && area.giant_bytes == area.end - area.start;
    Line {
        start,
        end,
        flags: area.flags,
        resident,
        page_kib: if is_giant { 1 << 20 } else { 4 },
        file: None,
    }
}

/// Returns the text of `maps`.
pub(crate) fn maps(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::with_capacity(lines.len() * 2 * NAME_COLUMN);
    for line in lines {
        line.append_to(&mut text);
    }
    text
}

/// Returns the text of `smaps`.
pub(crate) fn smaps(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        line.append_to(&mut text);
        append_amount(&mut text, "Size:", line.bytes() / 1024);
        append_amount(&mut text, "KernelPageSize:", line.page_kib);
        append_amount(&mut text, "MMUPageSize:", line.page_kib);
        append_amounts(&mut text, std::slice::from_ref(line));
        append!(
            text,
            "THPeligible:           0\nVmFlags: {}\n",
            vm_flags(line)
        );
    }
    text
}

/// Returns the text of `smaps_rollup`.
pub(crate) fn rollup(lines: &[Line]) -> Vec<u8> {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return Vec::new();
    };
    let mut text = Vec::new();
    append!(
        text,
        "{:08x}-{:08x} ---p 00000000 00:00 0 ",
        first.start,
        last.end
    );
    text.resize(NAME_COLUMN, b' ');
    text.extend(b"[rollup]\n");
    append_amounts(&mut text, lines);
    text
}

/// Appends the amounts that `smaps` tells of an area, summed up. All memory counts as anonymous
/// memory of the program's own: pages of files are copies, which several processes may share.
fn append_amounts(text: &mut Vec<u8>, lines: &[Line]) {
    let kib = |wanted: &dyn Fn(&Line) -> bool| -> u64 {
        let some = lines.iter().filter(|line| wanted(line));
        some.map(|line| line.resident).sum::<u64>() / 1024
    };
    let all = kib(&|_| true);
    let shared = kib(&|line| line.flags & area::SHARED != 0 || line.kind() == area::SPECIAL);
    let locked = kib(&|line| line.flags & area::LOCKED != 0);
    let private = all - shared;
    let rows = [
        ("Rss:", all),
        ("Pss:", all),
        ("Pss_Dirty:", private),
        ("Shared_Clean:", 0),
        ("Shared_Dirty:", shared),
        ("Private_Clean:", 0),
        ("Private_Dirty:", private),
        ("Referenced:", all),
        ("Anonymous:", private),
        ("KSM:", 0),
        ("LazyFree:", 0),
        ("AnonHugePages:", 0),
        ("ShmemPmdMapped:", 0),
        ("FilePmdMapped:", 0),
        ("Shared_Hugetlb:", 0),
        ("Private_Hugetlb:", 0),
        ("Swap:", 0),
        ("SwapPss:", 0),
        ("Locked:", locked),
    ];
    for (name, kib) in rows {
        append_amount(text, name, kib);
    }
}

/// Appends one row. A program may have thousands of areas with two dozen rows each, mostly of
/// nothing: the formatter's padding, a call for each character, would be all that takes time.
fn append_amount(text: &mut Vec<u8>, name: &str, kib: u64) {
    const NAME: usize = 16;
    const NUMBER: usize = 8;
    let begin = text.len();
    text.extend_from_slice(name.as_bytes());
    let number = match kib {
        0 => Cow::Borrowed("0"),
        _ => Cow::Owned(kib.to_string()),
    };
    text.resize(begin + NAME + NUMBER.saturating_sub(number.len()), b' ');
    text.extend_from_slice(number.as_bytes());
    text.extend_from_slice(b" kB\n");
}

fn vm_flags(line: &Line) -> String {
    let flags = [
        (line.may(prot::READ), "rd "),
        (line.may(prot::WRITE), "wr "),
        (line.may(prot::EXEC), "ex "),
        (line.flags & area::SHARED != 0, "sh "),
        (true, "mr mw me "),
        (line.kind() == area::STACK, "gd "),
        (line.flags & area::LOCKED != 0, "lo "),
        (true, "ac "),
        (line.flags & area::OMITTED_FROM_CORE != 0, "dd "),
    ];
    let set = flags.iter().filter(|(set, _)| *set);
    set.map(|(_, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::{maps, rollup, smaps, Line};
    use crate::procfs::files::MappedFile;
    use std::sync::Arc;

    fn line() -> Line {
        let file = MappedFile {
            path: b"/a\nb".to_vec(),
            device: 0x801,
            inode: 12,
        };
        Line {
            start: 0x40_0000,
            end: 0x40_3000,
            flags: 5,
            resident: 0x2000,
            page_kib: 4,
            file: Some((Arc::new(file), 0x1000)),
        }
    }

    #[test]
    fn a_line_has_linuxs_form() {
        let text = String::from_utf8(maps(&[line()])).unwrap();
        let head = "00400000-00403000 r-xp 00001000 08:01 12 ";
        assert_eq!(text, format!("{head:<73}/a\\012b\n"));
        let nameless = Line {
            file: None,
            ..line()
        };
        let text = String::from_utf8(maps(&[nameless])).unwrap();
        assert_eq!(text, "00400000-00403000 r-xp 00000000 00:00 0 \n");
    }

    #[test]
    fn amounts_add_up() {
        let text = String::from_utf8(rollup(&[line(), line()])).unwrap();
        assert!(text.contains("\nRss:                  16 kB\n"), "{text}");
        let text = String::from_utf8(smaps(&[line()])).unwrap();
        assert!(text.contains("\nSize:                 12 kB\n"), "{text}");
        assert!(text.contains("VmFlags: rd ex mr mw me ac \n"), "{text}");
    }
}
