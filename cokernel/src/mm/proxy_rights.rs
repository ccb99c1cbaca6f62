// SPDX-License-Identifier: GPL-2.0
//! Keeps the proxy's view of the window in step with the program's rights.
//!
//! The proxy maps the whole window readable and writable. What the program may read but not write
//! must be read-only there, too, or a delegated `read` could write it; only the proxy itself can
//! change that, so the thread's worker is asked. What the program may not touch at all needs
//! nothing: the fault handler refuses.

use alloc::vec::Vec;

use cokernel_logic::vma::{Kind, Protection, Range};
use ihk_ikc::process::{op, prot};

use crate::aspace::space::{attributes, AddressSpace, Inner};
use crate::delegate;
use crate::errno::Errno;

/// A stretch of the window whose rights in the proxy are wrong.
struct Difference {
    range: Range,
    read_only: bool,
}

/// Brings the proxy's rights in `range` in step. The caller holds the layout lock.
///
/// # Errors
///
/// What mprotect returned in the proxy, as a negative errno.
pub fn sync(space: &AddressSpace, range: Range) -> Result<(), i64> {
    for difference in space.with(|inner| differences(inner, range)) {
        let Difference { range, read_only } = difference;
        let rights = if read_only {
            prot::READ
        } else {
            prot::READ | prot::WRITE
        };
        let result = delegate::call_directly(
            op::PROTECT,
            [range.start, range.bytes(), u64::from(rights), 0, 0, 0],
        );
        if result < 0 {
            return Err(result);
        }
        space.with(|inner| record(inner, range, read_only));
    }
    Ok(())
}

/// Notes that the proxy has made `range` read-only, or writable again.
pub fn record(inner: &mut Inner, range: Range, read_only: bool) {
    inner.proxy_read_only.remove(range);
    if read_only {
        let marker = attributes(Kind::Special, Protection::default());
        // Just emptied, so it is free.
        let _ = inner.proxy_read_only.insert(range, marker);
    }
}

/// Drops the proxy's page tables of `range`, so that large pages can come again.
pub fn drop_tables(range: Range) {
    // Only speed is lost if the proxy refuses.
    let _ = delegate::call_directly(op::DROP_TABLES, [range.start, range.bytes(), 0, 0, 0, 0]);
}

/// The errno of a refused request, for calls that must answer with one.
pub fn errno_of(result: i64) -> Errno {
    match Errno::from_linux(result) {
        Errno::EINTR => Errno::EINTR,
        _ => Errno::ENOMEM,
    }
}

fn differences(inner: &Inner, range: Range) -> Vec<Difference> {
    let mut found = Vec::new();
    for area in inner.areas.parts(range) {
        let rights = area.attributes.protection;
        let kind = area.attributes.kind;
        if kind == Kind::Special || kind.is_mirrored() || !rights.is_accessible() {
            continue;
        }
        let marked = inner.proxy_read_only.parts(area.range);
        if !rights.is_read_only() {
            found.extend(marked.iter().map(|part| Difference {
                range: part.range,
                read_only: false,
            }));
            continue;
        }
        let mut at = area.range.start;
        for part in marked.iter().map(|part| part.range) {
            if at < part.start {
                found.push(Difference {
                    range: Range {
                        start: at,
                        end: part.start,
                    },
                    read_only: true,
                });
            }
            at = part.end;
        }
        if at < area.range.end {
            found.push(Difference {
                range: Range {
                    start: at,
                    end: area.range.end,
                },
                read_only: true,
            });
        }
    }
    found
}
