// SPDX-License-Identifier: GPL-2.0
//! The core dump of a program, because Linux's own would show mcexec.
//!
//! Linux's rules say whether there is one, and where. [`elf`] makes its contents, [`name`] its
//! name.

mod elf;
mod name;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use ihk_ikc::view::RunView;
use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{getrlimit, Resource};

pub(crate) use elf::Cause;

use crate::procfs::{ask, memory};
use crate::window;

/// Linux writes no core that may not be larger than this.
const SMALLEST_LIMIT: u64 = 4096;
/// Number of bytes that are copied at once.
const CHUNK: usize = 256 << 10;

/// Writes the core of the program that `cause` ends. Returns `false` if Linux would write none, or
/// would write it into a pipe, which is Linux's own business.
pub(crate) fn write(cause: &Cause) -> bool {
    let limit = getrlimit(Resource::RLIMIT_CORE).map_or(0, |(soft, _)| soft);
    if limit < SMALLEST_LIMIT || !matches!(prctl::get_dumpable(), Ok(true)) {
        return false;
    }
    let pattern = fs::read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let pattern = pattern.strip_suffix(b"\n").unwrap_or(&pattern);
    let Some(path) = name::expand(pattern, &name::Facts::of_this_process(cause.signal, limit))
    else {
        return false;
    };
    let _ = fs::remove_file(&path);
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    created.is_ok_and(|file| fill(file, cause, limit).is_ok())
}

/// Writes headers and memory, up to `limit` bytes.
fn fill(file: File, cause: &Cause, limit: u64) -> Result<(), Errno> {
    let lines = memory::lines(0)?;
    let image = elf::Image::of(cause, &lines)?;
    let mut output = Output {
        file,
        at: 0,
        left: limit,
    };
    if !output.write(&image.head) {
        return Err(Errno::EFBIG);
    }
    // The bytes written so far are a core already, whatever becomes of the rest.
    let runs = ask::runs(0).unwrap_or_default();
    for part in image.parts.iter().filter(|part| part.file_bytes != 0) {
        let inside =
            |run: &&RunView| run.start < part.address + part.file_bytes && part.address < run.end;
        for run in runs.iter().filter(inside) {
            let start = run.start.max(part.address);
            let end = run.end.min(part.address + part.file_bytes);
            if !output.copy(start, end, part.offset + (start - part.address)) {
                return Ok(());
            }
        }
    }
    let length = image.parts.iter().map(|part| part.offset + part.file_bytes);
    let _ = output.file.set_len(length.max().unwrap_or(output.at));
    Ok(())
}

/// The core file. Memory that is never there becomes a hole.
struct Output {
    file: File,
    at: u64,
    left: u64,
}

impl Output {
    /// Writes `bytes`. Returns `false` if no more can be written.
    fn write(&mut self, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        if length > self.left || self.file.write_all(bytes).is_err() {
            return false;
        }
        self.left -= length;
        self.at += length;
        true
    }

    /// Copies the program's memory from `start` to `end` to `offset` of the file. Memory that
    /// cannot be read becomes a hole. Returns `false` if no more can be written.
    fn copy(&mut self, start: u64, end: u64, offset: u64) -> bool {
        if self.at != offset && self.file.seek(SeekFrom::Start(offset)).is_err() {
            return false;
        }
        self.at = offset;
        let mut buffer = vec![0; CHUNK];
        let mut from = start;
        while from < end {
            let wanted = usize::try_from(end - from).unwrap_or(CHUNK).min(CHUNK);
            let count = window::read(from, &mut buffer[..wanted]).unwrap_or(0);
            if count == 0 {
                return true;
            }
            if !self.write(&buffer[..count]) {
                return false;
            }
            from += count as u64;
        }
        true
    }
}
