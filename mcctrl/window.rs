// SPDX-License-Identifier: GPL-2.0
//! Mapping the window: one area of the program's addresses, and the slots.

use crate::ffi::vma::NewArea;
use crate::image::within;
use crate::proto::layout::{PAGE_BYTES, WINDOW_END};
use crate::proto::slot::SHARED_PAGES;
use crate::proto::uapi::SLOTS_OFFSET;
use crate::proxy::Proxy;
use kernel::prelude::*;

/// `mmap` of a window descriptor. EINVAL unless the area is shared and either a part of the window
/// at its own address, or the slots outside of it.
pub(crate) fn mmap(proxy: &Proxy, area: &NewArea<'_>) -> Result {
    let window = (proxy.window_start, WINDOW_END);
    let bytes = area.end().saturating_sub(area.start());
    let is_window = area.offset() == area.start() && within(area.start(), bytes, window);
    let is_slots = area.offset() == SLOTS_OFFSET
        && area.start() >= WINDOW_END
        && bytes == SHARED_PAGES as u64 * PAGE_BYTES;
    if !area.is_shared() || !(is_window || is_slots) {
        return Err(EINVAL);
    }
    area.become_window();
    Ok(())
}
