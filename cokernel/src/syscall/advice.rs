// SPDX-License-Identifier: GPL-2.0
//! mincore and msync: questions and wishes about what is in memory.

use alloc::vec;

use cokernel_logic::vma::Range;
use ihk_ikc::layout::PAGE_BYTES;

use super::errno::{Errno, SyscallResult};
use super::user::{uint, write_bytes};
use crate::arch::UserFrame;
use crate::mm::addr::{is_page_aligned, page_up};
use crate::task::process;

const MS_ASYNC: u32 = 1;
const MS_INVALIDATE: u32 = 2;
const MS_SYNC: u32 = 4;
/// Pages answered about at a time.
const CHUNK_PAGES: u64 = 512;

/// mincore(2).
pub fn mincore(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, mut vector, ..] = frame.args();
    if !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    let range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::ENOMEM)?;
    let process = process::current();
    let mut at = range.start;
    while at < range.end {
        let chunk = Range {
            start: at,
            end: range.end.min(at + CHUNK_PAGES * PAGE_BYTES),
        };
        let mut answer = vec![0u8; (chunk.bytes() / PAGE_BYTES) as usize];
        process.space.with(|inner| {
            if !inner.areas.is_covered(chunk) {
                return Err(Errno::ENOMEM);
            }
            for (byte, page) in answer
                .iter_mut()
                .zip((chunk.start..).step_by(PAGE_BYTES as usize))
            {
                *byte = u8::from(inner.table.lookup(page).is_some());
            }
            Ok(())
        })?;
        write_bytes(vector, &answer)?;
        vector += answer.len() as u64;
        at = chunk.end;
    }
    Ok(0)
}

/// msync(2): there is no shared file mapping yet, so nothing has to be written.
pub fn msync(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, flags, ..] = frame.args();
    let flags = uint(flags);
    let both = MS_ASYNC | MS_SYNC;
    if flags & !(both | MS_INVALIDATE) != 0 || flags & both == both || !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    let range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::ENOMEM)?;
    let covered = process::current()
        .space
        .with(|inner| inner.areas.is_covered(range));
    if covered {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}
