// SPDX-License-Identifier: GPL-2.0
//! madvise: what frees memory frees it here, where it is; most of the rest is a hint.

use cokernel_logic::argument::pages;
use cokernel_logic::syscall::madvise::{deed, Deed};
use cokernel_logic::vma::{Area, Range};
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;

use crate::addr::{is_page_aligned, to_usize};
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{fault, file_mapping, mirror, unmap};
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::int;

/// madvise(2).
pub fn madvise(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, advice, ..] = frame.args();
    let range = pages(start, bytes).ok_or(Errno::EINVAL)?;
    if !is_page_aligned(start) {
        return Err(Errno::EINVAL);
    }
    let process = current::process();
    let _layout = process.space.lock_layout();
    let parts = process.space.with(|inner| inner.areas.parts(range));
    if parts.is_empty() {
        deed(int(advice))?;
    }
    let mut at = range.start;
    let mut holes = false;
    for part in parts {
        holes |= at < part.range.start;
        if holes && matches!(deed(int(advice)), Ok(Deed::Fill { .. })) {
            break;
        }
        if mirror::is_mirrored(&part) {
            advise_file(process, &part, advice)?;
        } else {
            apply(process, deed(int(advice))?, &part)?;
        }
        at = part.range.end;
    }
    if holes || at < range.end {
        return Err(Errno::ENOMEM);
    }
    Ok(0)
}

/// Linux does with its own mapping what the advice says, and takes back what it has shown.
fn advise_file(process: &Process, part: &Area, advice: u64) -> Result<(), Errno> {
    let args = [part.range.start, part.range.bytes(), advice, 0, 0, 0];
    delegate::ask(op::ADVISE_FILE, args)?;
    match deed(int(advice)) {
        Ok(deed @ (Deed::OmitByFork(_) | Deed::OmitFromCore(_) | Deed::Guard(_))) => {
            mark_as(process, deed, part)
        }
        _ => Ok(()),
    }
}

fn apply(process: &Process, deed: Deed, part: &Area) -> Result<(), Errno> {
    let what = part.attributes;
    if deed.is_refused_by(&what) {
        return Err(Errno::EINVAL);
    }
    match deed {
        Deed::Hint { .. } => Ok(()),
        Deed::Drop { .. } if what.shared => Ok(()),
        Deed::Drop { .. } => {
            file_mapping::look_anew(&process.space, part);
            unmap::empty(process, part.range)
        }
        Deed::Remove => unmap::wipe(process, part.range),
        Deed::Guard(true) => {
            file_mapping::look_anew(&process.space, part);
            mark_as(process, deed, part)?;
            unmap::empty(process, part.range)
        }
        Deed::OmitByFork(_)
        | Deed::WipeByFork(_)
        | Deed::LargePages(_)
        | Deed::OmitFromCore(_)
        | Deed::Guard(false) => mark_as(process, deed, part),
        Deed::Fill { write } => fill(process, part.range, write),
    }
}

fn mark_as(process: &Process, deed: Deed, part: &Area) -> Result<(), Errno> {
    process.space.with(|inner| {
        inner.check_split(part.range)?;
        let change = |what| deed.changed(what).unwrap_or(what);
        inner.areas.update(part.range, change);
        Ok(())
    })
}

/// Makes every page of `range` be there.
///
/// # Errors
///
/// `EFAULT` where the rights are missing, `ENOMEM`.
pub fn fill(process: &Process, range: Range, write: bool) -> Result<(), Errno> {
    for address in (range.start..range.end).step_by(to_usize(PAGE_BYTES)) {
        fault::bring_in(process, address, write)?;
    }
    Ok(())
}
