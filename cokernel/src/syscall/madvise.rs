// SPDX-License-Identifier: GPL-2.0
//! madvise: what frees memory frees it here, where it is; most of the rest is a hint.

use cokernel_logic::vma::{Area, Attributes, Kind, OnFork, Range};
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;

use super::errno::{Errno, SyscallResult};
use super::user::int;
use crate::arch::UserFrame;
use crate::mm::addr::{is_page_aligned, page_up};
use crate::mm::{fault, mirror, unmap};
use crate::task::process::{self, Process};

/// What an advice makes us do.
#[derive(Clone, Copy)]
enum Deed {
    /// Nothing: a hint.
    Nothing,
    /// Contents are lost, zeroed memory comes at the next touch.
    Empty,
    /// A child of fork finds this.
    OnFork(OnFork),
    /// Every page is there afterwards, and may be written if so said.
    Fill { write: bool },
}

/// The deed of `advice`.
///
/// # Errors
///
/// `EINVAL` for what Linux does not know, and for what it does but we do not (guard pages,
/// collapsing, shared memory, poison).
fn deed(advice: i32) -> Result<Deed, Errno> {
    match advice {
        // NORMAL RANDOM SEQUENTIAL WILLNEED, (UN)MERGEABLE, (NO)HUGEPAGE, (DONT|DO)DUMP, COLD PAGEOUT
        0..=3 | 12..=17 | 20 | 21 => Ok(Deed::Nothing),
        // DONTFORK, WIPEONFORK; DOFORK, KEEPONFORK
        10 => Ok(Deed::OnFork(OnFork::Omit)),
        18 => Ok(Deed::OnFork(OnFork::Wipe)),
        11 | 19 => Ok(Deed::OnFork(OnFork::Inherit)),
        // DONTNEED, FREE
        4 | 8 => Ok(Deed::Empty),
        // POPULATE_READ, POPULATE_WRITE
        22 => Ok(Deed::Fill { write: false }),
        23 => Ok(Deed::Fill { write: true }),
        _ => Err(Errno::EINVAL),
    }
}

/// madvise(2).
pub fn madvise(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, advice, ..] = frame.args();
    let range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::EINVAL)?;
    if !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    let process = process::current();
    let _layout = process.space.lock_layout();
    let parts = process.space.with(|inner| inner.areas.parts(range));
    if parts.is_empty() {
        deed(int(advice))?;
    }
    for part in &parts {
        if mirror::is_mirrored(part) {
            advise_file(process, part, advice)?;
        } else {
            apply(process, deed(int(advice))?, part)?;
        }
    }
    let covered = process.space.with(|inner| inner.areas.is_covered(range));
    if covered {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

/// Linux does with its own mapping what the advice says, and takes back what it has shown.
fn advise_file(process: &Process, part: &Area, advice: u64) -> Result<(), Errno> {
    let args = [part.range.start, part.range.bytes(), advice, 0, 0, 0];
    mirror::ask(op::ADVISE_FILE, args)?;
    match deed(int(advice)) {
        Ok(Deed::OnFork(on_fork)) => mark(process, part, on_fork),
        _ => Ok(()),
    }
}

fn apply(process: &Process, deed: Deed, part: &Area) -> Result<(), Errno> {
    match deed {
        Deed::Nothing => Ok(()),
        Deed::Empty => {
            // Linux would show the file's contents again; we hold no file.
            let refillable = matches!(
                part.attributes.kind,
                Kind::Anonymous | Kind::Heap | Kind::Stack | Kind::ThreadStack
            );
            if !refillable || part.attributes.locked {
                return Err(Errno::EINVAL);
            }
            unmap::empty(process, part.range)
        }
        Deed::OnFork(on_fork) => mark(process, part, on_fork),
        Deed::Fill { write } => fill(process, part.range, write),
    }
}

fn mark(process: &Process, part: &Area, on_fork: OnFork) -> Result<(), Errno> {
    let wipeable = matches!(
        part.attributes.kind,
        Kind::Anonymous | Kind::Heap | Kind::Stack
    );
    if on_fork == OnFork::Wipe && (!wipeable || part.attributes.shared) {
        return Err(Errno::EINVAL);
    }
    process.space.with(|inner| {
        inner.check_split()?;
        inner
            .areas
            .update(part.range, |what| Attributes { on_fork, ..what });
        Ok(())
    })
}

/// Makes every page of `range` be there.
///
/// # Errors
///
/// `EFAULT` where the rights are missing, `ENOMEM`.
pub fn fill(process: &Process, range: Range, write: bool) -> Result<(), Errno> {
    for address in (range.start..range.end).step_by(PAGE_BYTES as usize) {
        fault::handle_linux(&process.space, address, write)?;
    }
    Ok(())
}
