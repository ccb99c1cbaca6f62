// SPDX-License-Identifier: GPL-2.0
//! madvise: what frees memory frees it here, where it is; most of the rest is a hint.

use cokernel_logic::vma::{Area, Attributes, Kind, Range};
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;

use crate::addr::{is_page_aligned, page_up, to_usize};
use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::mm::{fault, file_mapping, mirror, unmap};
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::int;

/// The action that an advice asks for, on a part of an area.
#[derive(Clone, Copy)]
enum Deed {
    /// Nothing: a hint, but one that locked areas refuse if so said.
    Hint { not_locked: bool },
    /// The program's view is emptied; what is shared is still there.
    Drop { lazily: bool, also_locked: bool },
    /// Shared memory becomes zero for all processes that map it.
    Remove,
    /// A child of fork has it, or not.
    OmitByFork(bool),
    /// A child of fork finds it zeroed, or as it is.
    WipeByFork(bool),
    /// Large pages are wanted, or not.
    LargePages(bool),
    /// Every page is there afterwards, and may be written if so said.
    Fill { write: bool },
}

/// The deed of `advice`.
///
/// # Errors
///
/// `EINVAL` for what Linux does not know, and for what it does but we do not (guard pages,
/// collapsing, poison).
const fn deed(advice: i32) -> Result<Deed, Errno> {
    match advice {
        // NORMAL RANDOM SEQUENTIAL WILLNEED, (UN)MERGEABLE, (DONT|DO)DUMP
        0..=3 | 12 | 13 | 16 | 17 => Ok(Deed::Hint { not_locked: false }),
        // HUGEPAGE, NOHUGEPAGE
        14 | 15 => Ok(Deed::LargePages(advice == 14)),
        // COLD PAGEOUT
        20 | 21 => Ok(Deed::Hint { not_locked: true }),
        // DONTNEED, FREE, DONTNEED_LOCKED
        4 | 8 | 24 => Ok(Deed::Drop {
            lazily: advice == 8,
            also_locked: advice == 24,
        }),
        // REMOVE
        9 => Ok(Deed::Remove),
        // DONTFORK, DOFORK
        10 | 11 => Ok(Deed::OmitByFork(advice == 10)),
        // WIPEONFORK, KEEPONFORK
        18 | 19 => Ok(Deed::WipeByFork(advice == 18)),
        // POPULATE_READ, POPULATE_WRITE
        22 | 23 => Ok(Deed::Fill {
            write: advice == 23,
        }),
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
        Ok(deed @ Deed::OmitByFork(_)) => apply(process, deed, part),
        _ => Ok(()),
    }
}

fn apply(process: &Process, deed: Deed, part: &Area) -> Result<(), Errno> {
    let what = part.attributes;
    let refused = match deed {
        Deed::Hint { not_locked } => not_locked && what.locked,
        // Of a file that is not known the contents cannot come again.
        Deed::Drop {
            lazily: false,
            also_locked,
        } => what.locked && !also_locked || !is_anonymous(what.kind) && what.source == 0,
        Deed::Drop { lazily: true, .. } => what.locked || !is_anonymous(what.kind) || what.shared,
        Deed::Remove => what.locked || !what.shared,
        Deed::WipeByFork(wipe) => wipe && (what.shared || !is_anonymous(what.kind)),
        Deed::OmitByFork(_) | Deed::LargePages(_) | Deed::Fill { .. } => false,
    };
    if refused {
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
        Deed::OmitByFork(omitted_by_fork) => mark(process, part, |what| Attributes {
            omitted_by_fork,
            ..what
        }),
        Deed::WipeByFork(wiped_by_fork) => mark(process, part, |what| Attributes {
            wiped_by_fork,
            ..what
        }),
        Deed::LargePages(wanted) => mark(process, part, |what| Attributes {
            small_pages: !wanted,
            ..what
        }),
        Deed::Fill { write } => fill_permitted(process, part, write),
    }
}

const fn is_anonymous(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Anonymous | Kind::Heap | Kind::Stack | Kind::ThreadStack
    )
}

fn mark(
    process: &Process,
    part: &Area,
    change: impl Fn(Attributes) -> Attributes,
) -> Result<(), Errno> {
    process.space.with(|inner| {
        inner.check_split(part.range)?;
        inner.areas.update(part.range, change);
        Ok(())
    })
}

fn fill_permitted(process: &Process, part: &Area, write: bool) -> Result<(), Errno> {
    let rights = part.attributes.protection;
    if !(if write { rights.write } else { rights.read }) {
        return Err(Errno::EINVAL);
    }
    fill(process, part.range, write)
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
