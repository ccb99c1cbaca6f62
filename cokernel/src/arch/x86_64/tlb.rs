// SPDX-License-Identifier: GPL-2.0
//! The translation look-aside buffer of this CPU.

use x86_64::instructions::tlb;
use x86_64::VirtAddr;

use crate::addr::to_usize;

/// Flushing more pages than this one by one costs more than flushing everything.
const MAX_SINGLE_PAGES: u64 = 32;

/// Flushes one page on this CPU.
pub fn flush_page(address: u64) {
    tlb::flush(VirtAddr::new_truncate(address));
}

/// Flushes all of user space on this CPU (the kernel's own pages are global).
pub fn flush_all() {
    tlb::flush_all();
}

/// Flushes `[start, end)` on this CPU, whose pages have at least `step` bytes: one address of each is enough.
pub fn flush_range(start: u64, end: u64, step: u64) {
    let first = start & !(step - 1);
    if end.saturating_sub(first) / step > MAX_SINGLE_PAGES {
        return flush_all();
    }
    (first..end).step_by(to_usize(step)).for_each(flush_page);
}
