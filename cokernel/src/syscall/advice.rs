// SPDX-License-Identifier: GPL-2.0
//! mincore and msync: questions and wishes about what is in memory.

use alloc::vec::Vec;

use cokernel_logic::syscall::memory;
use cokernel_logic::vma::Range;
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::syscalls::number;

use crate::addr::to_usize;
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::mirror;
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::{uint, write_bytes};

/// Pages answered about at a time.
const CHUNK_PAGES: u64 = 512;

/// mincore(2).
pub fn mincore(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, vector, ..] = frame.args();
    let range = memory::mincore(start, bytes)?;
    let process = current::process();
    if !process.space.with(|inner| inner.areas.is_covered(range)) {
        return Err(Errno::ENOMEM);
    }
    for part in process.space.with(|inner| inner.areas.parts(range)) {
        let place = vector + (part.range.start - range.start) / PAGE_BYTES;
        if mirror::is_mirrored(&part) {
            let args = [part.range.start, part.range.bytes(), place, 0, 0, 0];
            delegate::ask(number::mincore, args)?;
        } else {
            tell_presence(process, part.range, place)?;
        }
    }
    Ok(0)
}

/// Says at `vector`, a byte per page, which pages of `range` are there.
fn tell_presence(process: &Process, range: Range, mut vector: u64) -> Result<(), Errno> {
    let mut at = range.start;
    while at < range.end {
        let end = range.end.min(at + CHUNK_PAGES * PAGE_BYTES);
        let is_there = |page| {
            process
                .space
                .with(|inner| inner.table.lookup(page).is_some())
        };
        let answer: Vec<u8> = (at..end)
            .step_by(to_usize(PAGE_BYTES))
            .map(|page| u8::from(is_there(page)))
            .collect();
        write_bytes(vector, &answer)?;
        vector += answer.len() as u64;
        at = end;
    }
    Ok(())
}

/// msync(2): files are Linux's; everything else has no place to be written to.
pub fn msync(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, flags, ..] = frame.args();
    let flags = uint(flags);
    let range = memory::msync(start, bytes, flags)?;
    let process = current::process();
    for part in mirror::parts(&process.space, range) {
        let args = [
            part.range.start,
            part.range.bytes(),
            u64::from(flags),
            0,
            0,
            0,
        ];
        delegate::ask(number::msync, args)?;
    }
    if process.space.with(|inner| inner.areas.is_covered(range)) {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}
