// SPDX-License-Identifier: GPL-2.0
//! Headers of an ELF program, read and checked; nothing in them is trusted.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use goblin::elf64::header::{Header, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, SIZEOF_EHDR};
use goblin::elf64::program_header::{
    ProgramHeader, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, PT_PHDR, SIZEOF_PHDR,
};
use ihk_ikc::layout::{PAGE_BYTES, WINDOW_END};
use ihk_ikc::process::prot;
use nix::errno::Errno;

use super::{page_down, page_up};
use crate::error::ExecError;

/// Most bytes of program headers, as in Linux.
const MAX_HEADER_TABLE: usize = 65536;
/// Longest path of an interpreter, its NUL included.
const MAX_INTERPRETER: u64 = 4096;
/// Larger alignments are not honoured.
const MAX_ALIGNMENT: u64 = 1 << 30;

/// One part of a program that is to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Address, before a bias is added.
    pub address: u64,
    /// Size in memory.
    pub memory_bytes: u64,
    /// Offset in the file at which its bytes begin.
    pub file_offset: u64,
    /// The number of bytes that come from the file. The rest is zero.
    pub file_bytes: u64,
    /// [`prot`] bits.
    pub prot: u32,
}

/// A program file whose headers make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// Whether it may be loaded anywhere (position-independent). Otherwise it lies at its own
    /// addresses.
    pub movable: bool,
    /// First instruction, before a bias is added.
    pub entry: u64,
    /// The segments in ascending order, at least one.
    pub segments: Vec<Segment>,
    /// The program that loads this one.
    pub interpreter: Option<PathBuf>,
    /// Whether the stack is executable.
    pub executable_stack: bool,
    /// Address of the program headers before a bias is added, or 0 if they are not loaded.
    pub headers_address: u64,
    /// Number of the program headers.
    pub header_count: u16,
    /// A bias must be a multiple of this.
    pub alignment: u64,
}

impl Executable {
    /// Returns the first page of the program and the end of its last one, before a bias is added.
    #[must_use]
    pub(crate) fn span(&self) -> (u64, u64) {
        let first = self
            .segments
            .first()
            .map_or(0, |segment| page_down(segment.address));
        let ends = self
            .segments
            .iter()
            .map(|segment| page_up(segment.address + segment.memory_bytes));
        (first, ends.max().unwrap_or(first))
    }
}

/// Reads and checks the headers of `file`.
///
/// # Errors
///
/// The error is the one that `execve` would have.
pub(crate) fn read(file: &File) -> Result<Executable, ExecError> {
    let file_bytes = file.metadata()?.len();
    let header = read_header(file)?;
    let headers = read_program_headers(file, &header)?;
    let mut segments = Vec::new();
    for header in headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0)
    {
        segments.push(check_segment(header, file_bytes)?);
    }
    if segments.is_empty() {
        return Err(ExecError::format("nothing to load"));
    }
    if !segments.is_sorted_by(|left, right| left.address + left.memory_bytes <= right.address) {
        return Err(ExecError::format("segments overlap or are out of order"));
    }
    if segments
        .iter()
        .map(|segment| segment.memory_bytes)
        .sum::<u64>()
        > WINDOW_END
    {
        return Err(ExecError::new(Errno::ENOMEM, "segments are too large"));
    }
    let interpreter = headers.iter().find(|header| header.p_type == PT_INTERP);
    let stack = headers.iter().find(|header| header.p_type == PT_GNU_STACK);
    Ok(Executable {
        movable: header.e_type == ET_DYN,
        entry: header.e_entry,
        interpreter: interpreter
            .map(|header| read_interpreter(file, header))
            .transpose()?,
        executable_stack: stack.is_some_and(|header| header.p_flags & PF_X != 0),
        headers_address: headers_address(&header, &headers, &segments),
        header_count: header.e_phnum,
        alignment: alignment(&headers),
        segments,
    })
}

fn read_header(file: &File) -> Result<Header, ExecError> {
    let mut bytes = [0; SIZEOF_EHDR];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|_| ExecError::from(Errno::ENOEXEC))?;
    if !bytes.starts_with(ELFMAG) {
        return Err(Errno::ENOEXEC.into());
    }
    // Linux looks at the machine only, not at class and byte order.
    let header = *Header::from_bytes(&bytes);
    if header.e_machine != EM_X86_64 {
        return Err(ExecError::format("for another machine"));
    }
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return Err(ExecError::format("not a program"));
    }
    Ok(header)
}

fn read_program_headers(file: &File, header: &Header) -> Result<Vec<ProgramHeader>, ExecError> {
    let bytes = usize::from(header.e_phnum) * SIZEOF_PHDR;
    if usize::from(header.e_phentsize) != SIZEOF_PHDR || bytes == 0 || bytes > MAX_HEADER_TABLE {
        return Err(ExecError::format("malformed program headers"));
    }
    let mut table = vec![0; bytes];
    file.read_exact_at(&mut table, header.e_phoff)
        .map_err(|_| ExecError::format("program headers lie outside the file"))?;
    Ok(ProgramHeader::from_bytes(
        &table,
        usize::from(header.e_phnum),
    ))
}

fn check_segment(header: &ProgramHeader, file_bytes: u64) -> Result<Segment, ExecError> {
    let end = header.p_vaddr.checked_add(header.p_memsz);
    if end.is_none_or(|end| end > WINDOW_END) {
        return Err(ExecError::new(
            Errno::ENOMEM,
            "a segment lies outside the address space of programs",
        ));
    }
    if header.p_filesz > header.p_memsz {
        return Err(ExecError::format(
            "a segment is larger in the file than in memory",
        ));
    }
    if header.p_vaddr % PAGE_BYTES != header.p_offset % PAGE_BYTES {
        return Err(ExecError::format("a segment is misaligned"));
    }
    if header
        .p_offset
        .checked_add(header.p_filesz)
        .is_none_or(|end| end > file_bytes)
    {
        return Err(ExecError::format("the file is cut off"));
    }
    let bits = [(PF_R, prot::READ), (PF_W, prot::WRITE), (PF_X, prot::EXEC)];
    let granted = bits.iter().filter(|(flag, _)| header.p_flags & flag != 0);
    Ok(Segment {
        address: header.p_vaddr,
        memory_bytes: header.p_memsz,
        file_offset: header.p_offset,
        file_bytes: header.p_filesz,
        prot: granted.map(|(_, bit)| bit).sum(),
    })
}

fn read_interpreter(file: &File, header: &ProgramHeader) -> Result<PathBuf, ExecError> {
    let malformed = || ExecError::format("malformed interpreter name");
    if !(2..=MAX_INTERPRETER).contains(&header.p_filesz) {
        return Err(malformed());
    }
    let mut name = vec![0; usize::try_from(header.p_filesz).map_err(|_| malformed())?];
    file.read_exact_at(&mut name, header.p_offset)
        .map_err(|_| malformed())?;
    if name.last() != Some(&0) {
        return Err(malformed());
    }
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(PathBuf::from(OsStr::from_bytes(name)))
}

/// Returns the address at which the loaded program finds its own program headers.
fn headers_address(header: &Header, headers: &[ProgramHeader], segments: &[Segment]) -> u64 {
    if let Some(told) = headers.iter().find(|header| header.p_type == PT_PHDR) {
        return told.p_vaddr;
    }
    let holds = |segment: &&Segment| {
        header.e_phoff >= segment.file_offset
            && header.e_phoff - segment.file_offset < segment.file_bytes
    };
    let holder = segments.iter().find(holds);
    holder.map_or(0, |segment| {
        segment.address + (header.e_phoff - segment.file_offset)
    })
}

fn alignment(headers: &[ProgramHeader]) -> u64 {
    let wanted = headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD)
        .map(|header| header.p_align);
    let honoured = wanted.filter(|align| align.is_power_of_two() && *align <= MAX_ALIGNMENT);
    honoured.max().unwrap_or(0).max(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{read, Executable};
    use ihk_ikc::layout::WINDOW_END;
    use nix::errno::Errno;
    use std::fs::File;
    use std::io::Write;
    use std::path::Path;

    /// One program header: type, flags, offset, address, bytes in the file and in memory.
    type Header = (u32, u32, u64, u64, u64, u64);

    /// A file of 8 KiB with these program headers.
    fn program(headers: &[Header]) -> Vec<u8> {
        let count = u8::try_from(headers.len()).unwrap();
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        bytes.extend([0x40_1000, 64, 0].into_iter().flat_map(u64::to_le_bytes));
        bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, count, 0, 64, 0, 0, 0, 0, 0]);
        for &(kind, flags, offset, address, file_bytes, memory_bytes) in headers {
            bytes.extend([kind, flags].into_iter().flat_map(u32::to_le_bytes));
            let words = [offset, address, address, file_bytes, memory_bytes, 4096];
            bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
        }
        bytes.resize(8192, 0);
        bytes
    }

    fn check(bytes: &[u8]) -> Result<Executable, Errno> {
        let name = format!(
            "mcexec-elf-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let path = std::env::temp_dir().join(name);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        let result = read(&File::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        result.map_err(|error| error.errno)
    }

    const TEXT: Header = (1, 5, 0, 0x40_0000, 0x1800, 0x1800);
    const DATA: Header = (1, 6, 0x1800, 0x40_2800, 0x100, 0x3000);

    #[test]
    fn a_plain_program_is_understood() {
        let program = check(&program(&[TEXT, DATA, (0x6474_e551, 7, 0, 0, 0, 0)])).unwrap();
        assert_eq!(
            (program.movable, program.entry, program.executable_stack),
            (false, 0x40_1000, true)
        );
        assert_eq!(program.headers_address, 0x40_0040);
        assert_eq!(program.span(), (0x40_0000, 0x40_6000));
        assert_eq!(program.segments[1].prot, 3);
    }

    #[test]
    fn hostile_segments_are_refused() {
        for (name, headers) in [
            ("none", vec![(4, 4, 0, 0, 0, 0)]),
            ("overlapping", vec![TEXT, (1, 6, 0x1000, 0x40_1000, 16, 16)]),
            ("descending", vec![DATA, TEXT]),
            ("larger in the file", vec![(1, 5, 0, 0x40_0000, 32, 16)]),
            ("misaligned", vec![(1, 5, 1, 0x40_0000, 16, 16)]),
            ("beyond the file", vec![(1, 5, 0, 0x40_0000, 8193, 8193)]),
            (
                "beyond any file",
                vec![(1, 5, u64::MAX - 4095, 0x40_0000, 4096, 4096)],
            ),
            ("interpreter without an end", vec![TEXT, (3, 4, 0, 0, 4, 4)]),
            ("interpreter outside", vec![TEXT, (3, 4, 9000, 0, 4, 4)]),
            ("interpreter too long", vec![TEXT, (3, 4, 0, 0, 5000, 5000)]),
        ] {
            let error = check(&program(&headers)).map(drop);
            assert_eq!(error, Err(Errno::ENOEXEC), "{name}");
        }
        for (name, header) in [
            ("wrapping", (1, 5, 0, u64::MAX - 4095, 0, 8192)),
            ("huge", (1, 5, 0, 0x1_0000, 0, WINDOW_END)),
        ] {
            let error = check(&program(&[header])).map(drop);
            assert_eq!(error, Err(Errno::ENOMEM), "{name}");
        }
    }

    #[test]
    fn class_and_byte_order_are_not_looked_at() {
        let good = program(&[TEXT]);
        for (offset, byte) in [(4, 1), (4, 9), (5, 2)] {
            let mut odd = good.clone();
            odd[offset] = byte;
            assert_eq!(check(&odd), check(&good), "byte {offset}");
        }
    }

    #[test]
    fn damaged_headers_are_refused() {
        let good = program(&[TEXT]);
        for (offset, byte) in [(16, 1), (18, 3), (54, 32), (56, 0), (33, 0x40)] {
            let mut bad = good.clone();
            bad[offset] = byte;
            assert_eq!(check(&bad), Err(Errno::ENOEXEC), "byte {offset}");
        }
        for bytes in [0, 3, 63, 64, 119] {
            assert_eq!(check(&good[..bytes]), Err(Errno::ENOEXEC), "cut at {bytes}");
        }
    }

    #[test]
    fn the_shell_of_this_machine_is_understood() {
        let shell = read(&File::open("/bin/sh").unwrap()).unwrap();
        assert!(shell.movable);
        assert!(Path::new("/lib64/ld-linux-x86-64.so.2") == shell.interpreter.unwrap());
    }
}
