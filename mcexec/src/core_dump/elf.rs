// SPDX-License-Identifier: GPL-2.0
//! The headers and notes of a core, which is an ELF file.
//!
//! Its segments are the program's areas. Its notes hold what a debugger wants to know, in Linux's
//! order and form.

use std::fs;

use ihk_ikc::process::prot;
use ihk_ikc::view::{area, FXSAVE_WORDS, REGISTER_WORDS, XCR0_AT};
use nix::errno::Errno;
use nix::unistd::{getegid, geteuid, getpgrp, getpid, getppid, getsid};

use crate::device;
use crate::procfs::memory::Line;

const PAGE: u64 = 4096;
const ELF_HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;
const MAX_SEGMENTS: usize = 0xfffe;

mod note {
    pub(super) const PRSTATUS: u32 = 1;
    pub(super) const PRFPREG: u32 = 2;
    pub(super) const PRPSINFO: u32 = 3;
    pub(super) const AUXV: u32 = 6;
    pub(super) const X86_XSTATE: u32 = 0x202;
    pub(super) const SIGINFO: u32 = 0x5349_4749;
    pub(super) const FILE: u32 = 0x4649_4c45;
}

/// The signal that ends the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cause {
    /// Number of the signal.
    pub signal: i32,
    /// The `si_code` that came with it.
    pub code: i32,
    /// The two words that follow the `si_code` in `siginfo_t`.
    pub words: [u64; 2],
}

/// A segment: an area of the program.
pub(super) struct Part {
    /// First address of the area.
    pub address: u64,
    /// The offset of the segment's bytes in the core.
    pub offset: u64,
    /// The number of bytes of the segment that are in the core.
    pub file_bytes: u64,
    memory_bytes: u64,
    rights: u32,
}

/// A core without the contents of memory, which are copied afterwards.
pub(super) struct Image {
    /// Headers and notes, from the beginning of the file.
    pub head: Vec<u8>,
    /// The segments.
    pub parts: Vec<Part>,
}

impl Image {
    /// Makes the core of the program that `cause` ends and whose areas are `lines`.
    ///
    /// # Errors
    ///
    /// The co-kernel does not tell its registers.
    pub(super) fn of(cause: &Cause, lines: &[Line]) -> Result<Self, Errno> {
        let lines = lines.get(..MAX_SEGMENTS).unwrap_or(lines);
        let notes = notes(cause, lines)?;
        let headers = lines.len() as u64 + 1;
        let notes_at = ELF_HEADER_BYTES + headers * PROGRAM_HEADER_BYTES;
        let mut offset = (notes_at + notes.len() as u64).next_multiple_of(PAGE);
        let mut parts = Vec::with_capacity(lines.len());
        for line in lines {
            // Without rights, not wanted, Linux's clock, or in a file anyway: nothing to copy.
            let is_clock = line.kind() == area::SPECIAL && !line.may(prot::EXEC);
            let is_omitted = line.flags & area::OMITTED_FROM_CORE != 0;
            let is_there = line.flags & 7 != 0 && !is_clock && !is_omitted;
            let readable = is_there && line.kind() != area::MIRRORED;
            let file_bytes = if readable { line.bytes() } else { 0 };
            parts.push(Part {
                address: line.start,
                offset,
                file_bytes,
                memory_bytes: line.bytes(),
                rights: elf_rights(line),
            });
            offset += file_bytes;
        }
        let mut head = elf_header(headers);
        head.extend(program_header(
            4,
            4,
            notes_at,
            0,
            [notes.len() as u64, 0],
            4,
        ));
        for part in &parts {
            let sizes = [part.file_bytes, part.memory_bytes];
            head.extend(program_header(
                1,
                part.rights,
                part.offset,
                part.address,
                sizes,
                PAGE,
            ));
        }
        head.extend(notes);
        Ok(Self { head, parts })
    }
}

/// Returns the rights of `line` as ELF orders the bits.
fn elf_rights(line: &Line) -> u32 {
    let bit = |right, bit| if line.may(right) { bit } else { 0 };
    bit(prot::READ, 4) | bit(prot::WRITE, 2) | bit(prot::EXEC, 1)
}

/// Puts fields one after the other.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn half(mut self, value: u16) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn word(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn int(self, value: i32) -> Self {
        self.word(value.cast_unsigned())
    }

    fn long(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn longs(self, values: &[u64]) -> Self {
        values.iter().fold(self, |bytes, value| bytes.long(*value))
    }

    /// Zeroes up to `length` in all.
    fn up_to(mut self, length: usize) -> Self {
        self.0.resize(length, 0);
        self
    }
}

fn elf_header(headers: u64) -> Vec<u8> {
    const CORE: u16 = 4;
    const X86_64: u16 = 62;
    let mut identity = Bytes(b"\x7fELF\x02\x01\x01".to_vec()).up_to(16);
    identity = identity.half(CORE).half(X86_64).word(1).long(0);
    identity
        .long(ELF_HEADER_BYTES)
        .long(0)
        .word(0)
        .half(64)
        .half(56)
        .half(u16::try_from(headers).unwrap_or(u16::MAX))
        .half(0)
        .half(0)
        .half(0)
        .0
}

/// Returns a program header. `sizes` are those in the file and in memory.
fn program_header(
    kind: u32,
    rights: u32,
    offset: u64,
    address: u64,
    sizes: [u64; 2],
    align: u64,
) -> Vec<u8> {
    Bytes::default()
        .word(kind)
        .word(rights)
        .longs(&[offset, address, 0])
        .longs(&sizes)
        .long(align)
        .0
}

/// Returns a note about a process.
fn note(kind: u32, content: &[u8]) -> Vec<u8> {
    note_of(b"CORE\0\0\0\0", kind, content)
}

/// Returns a note with its name, which is padded, and its content.
fn note_of(name: &[u8; 8], kind: u32, content: &[u8]) -> Vec<u8> {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(7) + 1;
    let bytes = Bytes::default()
        .word(u32::try_from(length).unwrap_or(0))
        .word(u32::try_from(content.len()).unwrap_or(0))
        .word(kind);
    let mut bytes = bytes.0;
    bytes.extend(name);
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Returns all notes. Those about the process come after the registers of the first thread.
fn notes(cause: &Cause, lines: &[Line]) -> Result<Vec<u8>, Errno> {
    let mut notes = Vec::new();
    for index in 0.. {
        let words = device::query(0, ihk_ikc::view::what::REGISTERS, index)?;
        if words.len() < REGISTER_WORDS + FXSAVE_WORDS {
            break;
        }
        let (head, fpu) = words.split_at(REGISTER_WORDS);
        notes.extend(note(note::PRSTATUS, &status(cause, head)));
        if index == 0 {
            notes.extend(note(note::PRPSINFO, &process_information()));
            notes.extend(note(note::SIGINFO, &signal_information(cause)));
            let auxv = fs::read("/proc/self/auxv").unwrap_or_default();
            notes.extend(note(note::AUXV, &auxv));
            notes.extend(note(note::FILE, &files(lines)));
        }
        notes.extend(fpu_notes(fpu));
    }
    if notes.is_empty() {
        return Err(Errno::ESRCH);
    }
    Ok(notes)
}

/// The FPU state as FXSAVE has it, and all of it if there is more.
fn fpu_notes(fpu: &[u64]) -> Vec<u8> {
    let mut legacy = fpu.get(..FXSAVE_WORDS).unwrap_or(fpu).to_vec();
    legacy.iter_mut().skip(XCR0_AT).for_each(|word| *word = 0);
    let mut notes = note(note::PRFPREG, &Bytes::default().longs(&legacy).0);
    if fpu.len() > FXSAVE_WORDS {
        let all = Bytes::default().longs(fpu).0;
        notes.extend(note_of(b"LINUX\0\0\0", note::X86_XSTATE, &all));
    }
    notes
}

/// Linux's `struct elf_prstatus`. `words`: thread id, 21 registers, FS and GS base.
fn status(cause: &Cause, words: &[u64]) -> Vec<u8> {
    const SELECTORS: [(usize, u64); 2] = [(17, 0x33), (20, 0x2b)];
    const BEFORE_REGISTERS: usize = 112;
    let (tid, registers) = words.split_first().unwrap_or((&0, &[]));
    let mut registers = registers.to_vec();
    for (index, selector) in SELECTORS {
        // User mode has Linux's, not the co-kernel's.
        if let Some(register) = registers.get_mut(index) {
            *register = selector;
        }
    }
    let id = u32::try_from(*tid).unwrap_or(0);
    Bytes::default()
        .int(cause.signal)
        .int(cause.code)
        .int(0)
        .word(cause.signal.cast_unsigned())
        .longs(&[0, 0])
        .word(id)
        .int(getppid().as_raw())
        .int(getpgrp().as_raw())
        .int(getsid(None).map_or(0, nix::unistd::Pid::as_raw))
        .up_to(BEFORE_REGISTERS)
        .longs(&registers)
        .longs(&[0; 4])
        .word(1)
        .word(0)
        .0
}

/// Linux's `struct elf_prpsinfo`.
fn process_information() -> Vec<u8> {
    let mut comm = fs::read("/proc/self/comm").unwrap_or_default();
    comm.pop();
    comm.truncate(15);
    let mut arguments = fs::read("/proc/self/cmdline").unwrap_or_default();
    arguments.pop();
    arguments
        .iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = b' ');
    arguments.truncate(79);
    let bytes = Bytes(vec![0, b'R', 0, 0])
        .word(0)
        .long(0)
        .word(geteuid().as_raw())
        .word(getegid().as_raw())
        .int(getpid().as_raw())
        .int(getppid().as_raw())
        .int(getpgrp().as_raw())
        .int(getsid(None).map_or(0, nix::unistd::Pid::as_raw));
    let mut bytes = bytes.0;
    bytes.extend(comm);
    bytes.resize(56, 0);
    bytes.extend(arguments);
    bytes.resize(136, 0);
    bytes
}

/// Linux's `siginfo_t`.
fn signal_information(cause: &Cause) -> Vec<u8> {
    Bytes::default()
        .int(cause.signal)
        .int(0)
        .int(cause.code)
        .int(0)
        .longs(&cause.words)
        .up_to(128)
        .0
}

/// Returns the note that says which files are mapped where.
fn files(lines: &[Line]) -> Vec<u8> {
    let mapped: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line, line.file.as_ref()?)))
        .collect();
    let mut bytes = Bytes::default().longs(&[mapped.len() as u64, PAGE]);
    for (line, (_, offset)) in &mapped {
        bytes = bytes.longs(&[line.start, line.end, offset / PAGE]);
    }
    let mut bytes = bytes.0;
    for (_, (file, _)) in &mapped {
        bytes.extend(&file.path);
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{
        elf_header, files, note, process_information, program_header, signal_information, status,
    };
    use crate::core_dump::Cause;

    #[test]
    fn structures_have_linuxs_sizes() {
        let cause = Cause {
            signal: 11,
            code: 1,
            words: [0x1234, 0],
        };
        assert_eq!(elf_header(3).len(), 64);
        assert_eq!(program_header(1, 4, 0, 0, [0, 0], 4096).len(), 56);
        let status = status(&cause, &[7; 24]);
        assert_eq!(status.len(), 336);
        assert_eq!(status[112..120], 7_u64.to_le_bytes());
        assert_eq!(status[112 + 17 * 8..112 + 18 * 8], 0x33_u64.to_le_bytes());
        assert_eq!(process_information().len(), 136);
        let signal = signal_information(&cause);
        assert_eq!((signal.len(), &signal[16..18]), (128, &[0x34, 0x12][..]));
        assert_eq!(
            files(&[]),
            [0_u64.to_le_bytes(), 4096_u64.to_le_bytes()].concat()
        );
        assert_eq!(note(1, &[1, 2, 3]).len(), 12 + 8 + 4);
    }
}
