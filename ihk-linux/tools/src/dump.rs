// SPDX-License-Identifier: GPL-2.0
//! A dump of an instance: an ELF core file with its memory and, as notes, build id and log.
//!
//! Addresses in it are offsets into the instance's memory, range after range: where the ranges lie
//! in the machine is not told to user space.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::device::Mcos;
use crate::failure::{plain, Failure, Result};
use crate::kmsg;
use crate::reasons::{reason, Action};

/// Note type of the build id, owner `IHK`.
pub const NOTE_BUILD_ID: u32 = 1;
/// Note type of the log, owner `IHK`.
pub const NOTE_KMSG: u32 = 2;

const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;
const PAGE: usize = 4096;
const CHUNK: usize = 1 << 20;

/// Writes a dump of `os` to `path`; the file appears complete or not at all.
///
/// # Errors
///
/// The instance cannot be read or the file not be written.
pub fn write(os: &Mcos, path: &Path) -> Result {
    let what = format!("dump {}", path.display());
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let result = write_partial(os, &partial, &what).and_then(|()| {
        fs::rename(&partial, path).map_err(|error| Failure::refused(&what, plain(&error)))
    });
    if result.is_err() {
        // The failure itself is reported; a left-over that cannot be removed adds nothing.
        let _ = fs::remove_file(&partial);
    }
    result
}

fn write_partial(os: &Mcos, path: &Path, what: &str) -> Result {
    let call = |errno| Failure::refused(what, reason(Action::Other, errno));
    let io = |error: io::Error| Failure::refused(what, plain(&error));
    let memory_bytes = os.memory().map_err(call)?.bytes.iter().sum();
    let mut notes = note(NOTE_BUILD_ID, os.build_id().unwrap_or_default().as_bytes());
    notes.extend(note(NOTE_KMSG, &kmsg::read_all(os).unwrap_or_default()));
    // A memory image holds secrets of all programs: for its owner only.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    let memory_at = write_headers(&mut file, &notes, memory_bytes).map_err(io)?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    while offset < memory_bytes {
        let bytes = os.read_memory(offset, &mut buffer).map_err(call)?;
        if bytes == 0 {
            break;
        }
        write_sparse(&mut file, buffer.get(..bytes).unwrap_or_default()).map_err(io)?;
        offset += bytes as u64;
    }
    file.set_len(memory_at + memory_bytes).map_err(io)?;
    file.sync_all().map_err(io)
}

/// One ELF note of owner `IHK`.
fn note(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(0);
    let mut bytes: Vec<u8> = [4, length, kind]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    bytes.extend(b"IHK\0");
    bytes.extend(content.iter().take(length as usize));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Headers and notes; where the memory begins in the file.
fn write_headers(file: &mut File, notes: &[u8], memory_bytes: u64) -> io::Result<u64> {
    let notes_at = HEADER_BYTES + 2 * PROGRAM_HEADER_BYTES;
    let notes_bytes = notes.len() as u64;
    let memory_at = (notes_at + notes_bytes).next_multiple_of(PAGE as u64);
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    head.extend([4, 0, 62, 0, 1, 0, 0, 0]); // ET_CORE, x86-64, version 1
    head.extend([0, HEADER_BYTES, 0].into_iter().flat_map(u64::to_le_bytes));
    head.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    head.extend(program_header(4, 4, notes_at, notes_bytes, 4));
    head.extend(program_header(1, 6, memory_at, memory_bytes, PAGE as u64));
    file.write_all(&head)?;
    file.write_all(notes)?;
    file.seek(SeekFrom::Start(memory_at))
}

fn program_header(kind: u32, flags: u32, offset: u64, bytes: u64, align: u64) -> Vec<u8> {
    let mut header: Vec<u8> = [kind, flags]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    header.extend(
        [offset, 0, 0, bytes, bytes, align]
            .into_iter()
            .flat_map(u64::to_le_bytes),
    );
    header
}

/// Writes `bytes`, leaving holes for pages of zeroes.
fn write_sparse(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    for page in bytes.chunks(PAGE) {
        if page.iter().all(|byte| *byte == 0) {
            file.seek_relative(i64::try_from(page.len()).unwrap_or(0))?;
        } else {
            file.write_all(page)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{note, program_header, write_headers, HEADER_BYTES, NOTE_KMSG};
    use goblin::elf::Elf;

    #[test]
    fn headers_are_those_of_an_elf_core() {
        let path = std::env::temp_dir().join(format!("ihk-dump-test-{}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        let memory_at = write_headers(&mut file, &note(NOTE_KMSG, b"hello"), 8192).unwrap();
        file.set_len(memory_at + 8192).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        assert_eq!(elf.header.e_phoff, HEADER_BYTES);
        assert_eq!(elf.program_headers[1].p_offset, memory_at);
        let notes: Vec<_> = elf
            .iter_note_headers(&bytes)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            (notes[0].n_type, notes[0].name, notes[0].desc),
            (NOTE_KMSG, "IHK", &b"hello"[..])
        );
        assert_eq!(program_header(1, 6, 0, 0, 0).len(), 56);
    }
}
