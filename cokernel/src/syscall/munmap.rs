// SPDX-License-Identifier: GPL-2.0
//! munmap.

use cokernel_logic::vma::Range;

use crate::addr::{is_page_aligned, page_up, USER_END};
use crate::arch::UserFrame;
use crate::delegate::bounce;
use crate::errno::{Errno, SyscallResult};
use crate::mm::unmap;
use crate::task::current;

/// munmap(2).
pub fn munmap(frame: &mut UserFrame) -> SyscallResult {
    let [start, bytes, ..] = frame.args();
    let range = page_up(bytes)
        .and_then(|bytes| Range::new(start, bytes))
        .ok_or(Errno::EINVAL)?;
    if !is_page_aligned(start) || range.is_empty() || range.end > USER_END {
        return Err(Errno::EINVAL);
    }
    let process = current::process();
    let inside = range.clip(&process.space.window);
    if !inside.is_empty() {
        let _layout = process.space.lock_layout();
        unmap::unmap(process, inside)?;
        bounce::forget_hint();
    }
    Ok(0)
}
