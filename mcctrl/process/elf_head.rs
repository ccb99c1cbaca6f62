// SPDX-License-Identifier: GPL-2.0
//! What the beginning of a program's file says, as far as exec can still fail because of it: the checks
//! of `load_elf_binary` (`fs/binfmt_elf.c`) before its point of no return. mcexec checks the rest.

use crate::ffi::exec;
use crate::ffi::file::File;
use kernel::prelude::*;

const MAGIC: &[u8] = b"\x7fELF";
const HEADER: usize = 64;
const X86_64: u16 = 62;
/// What Linux runs as 32-bit programs.
const X86: [u16; 2] = [3, 6];
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_DYNAMIC: u16 = 3;
const HEADER_BYTES: u16 = 56;
const INTERPRETER: u32 = 3;
/// Most bytes of program headers: Linux's `ELF_MIN_ALIGN`, at least a page.
const MOST_HEADERS: usize = 65536;
const MOST_PATH: u64 = 4096;
const ELIBBAD: c_int = -80;

/// Kinds of files.
pub(crate) enum Kind {
    /// A program for x86-64, with the path of its interpreter if it has one.
    Native(Option<KVec<u8>>),
    /// A program that only Linux runs.
    Foreign,
    /// No ELF file, or none that Linux runs.
    Other,
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(field.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

/// The machine that the ELF file which begins with `head` is for.
fn machine(head: &[u8]) -> Option<u16> {
    half(head, 18).filter(|_| head.starts_with(MAGIC))
}

/// Says what `file`, which begins with `head`, is. The errors are those of exec.
pub(crate) fn kind(file: &File, head: &[u8]) -> Result<Kind> {
    match machine(head) {
        Some(X86_64) => {}
        Some(other) if X86.contains(&other) => return Ok(Kind::Foreign),
        _ => return Ok(Kind::Other),
    }
    if !matches!(half(head, 16), Some(TYPE_EXECUTABLE | TYPE_DYNAMIC)) {
        return Ok(Kind::Other);
    }
    let Some(headers) = headers(file, head) else {
        return Ok(Kind::Other);
    };
    for header in headers.chunks_exact(HEADER_BYTES as usize) {
        if word(header, 0) == Some(INTERPRETER) {
            return Ok(Kind::Native(Some(path(file, header)?)));
        }
    }
    Ok(Kind::Native(None))
}

/// ENOEXEC, but no other format is to be asked, which might run a program of a co-kernel on Linux. Linux
/// itself never returns it from exec, and mcexec makes ENOEXEC of it.
pub(crate) fn nowhere_else() -> Error {
    const ENOTSUPP: c_int = 524;
    Error::from_errno(-ENOTSUPP)
}

fn headers(file: &File, head: &[u8]) -> Option<KVec<u8>> {
    let (offset, size, count) = (long(head, 32)?, half(head, 54)?, half(head, 56)?);
    let bytes = usize::from(size).checked_mul(usize::from(count))?;
    if size != HEADER_BYTES || bytes == 0 || bytes > MOST_HEADERS {
        return None;
    }
    let mut headers = KVec::from_elem(0, bytes, GFP_KERNEL).ok()?;
    (exec::read(file, offset, &mut headers).ok()? == bytes).then_some(headers)
}

fn path(file: &File, header: &[u8]) -> Result<KVec<u8>> {
    let (offset, bytes) = long(header, 8)
        .zip(long(header, 32))
        .filter(|(_, bytes)| (2..=MOST_PATH).contains(bytes))
        .ok_or(ENOEXEC)?;
    let bytes = usize::try_from(bytes).map_err(|_| ENOEXEC)?;
    let mut path = KVec::from_elem(0, bytes, GFP_KERNEL)?;
    if exec::read(file, offset, &mut path)? != bytes {
        return Err(EIO);
    }
    if path.last() != Some(&0) {
        return Err(ENOEXEC);
    }
    Ok(path)
}

/// Whether the interpreter at `path` can be opened and is one. The errors are those of exec.
pub(crate) fn check_interpreter(path: Option<KVec<u8>>) -> Result {
    let Some(path) = path else { return Ok(()) };
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| ENOEXEC)?;
    let file = exec::open_interpreter(path)?.file();
    let mut head = [0; HEADER];
    if exec::read(&file, 0, &mut head)? != head.len() {
        return Err(EIO);
    }
    let is_native = machine(&head) == Some(X86_64) && headers(&file, &head).is_some();
    is_native.then_some(()).ok_or(Error::from_errno(ELIBBAD))
}
