// SPDX-License-Identifier: GPL-2.0
//! The window: the part of mcexec's address space that shows the program's memory at the same
//! addresses, and the slots. Here is how it is mapped; what Linux touches in it is in [`fault`].

pub(crate) mod block;
pub(crate) mod fault;
pub(crate) mod fault_verdicts;

use crate::ffi::vma::{AreaOperations, AreaOps, Fault, NewArea, Outcome};
use crate::ffi::window_file::{self, FileOperations, WindowOps};
use crate::process::image::within;
use crate::process::proxy::Proxy;
use crate::proto::layout::{PAGE_BYTES, WINDOW_END};
use crate::proto::slot::SHARED_PAGES;
use crate::proto::uapi::{WindowPart, SLOTS_OFFSET};
use kernel::{fs::file::File, prelude::*, sync::Arc};

static FILE_OPERATIONS: FileOperations<Proxy> = FileOperations::new();
static AREA_OPERATIONS: AreaOperations<Proxy> = AreaOperations::new();

impl WindowOps for Proxy {
    fn file_operations() -> &'static FileOperations<Self> {
        &FILE_OPERATIONS
    }

    /// EINVAL unless the area is shared and either a part of the window at its own address, or the
    /// slots outside of it.
    fn mmap(&self, area: &NewArea<'_>) -> Result {
        let window = (self.window_start, WINDOW_END);
        let bytes = area.end().saturating_sub(area.start());
        let is_window = area.offset() == area.start() && within(area.start(), bytes, window);
        let is_slots = area.offset() == SLOTS_OFFSET
            && area.start() >= WINDOW_END
            && bytes == SHARED_PAGES as u64 * PAGE_BYTES;
        if !area.is_shared() || !(is_window || is_slots) {
            return Err(EINVAL);
        }
        Ok(())
    }

    fn released(&self) {
        self.window_released();
    }
}

impl AreaOps for Proxy {
    fn area_operations() -> &'static AreaOperations<Self> {
        &AREA_OPERATIONS
    }

    fn fault(this: Arc<Self>, fault: Fault<'_>) -> Outcome {
        fault::small(&this, fault)
    }

    fn large_fault(&self, fault: &Fault<'_>) -> Outcome {
        fault::large(self, fault)
    }

    fn zap(&self, start: u64, bytes: u64) {
        self.memory.zap(start, bytes);
    }
}

/// Maps the shared pages of the window file `file`, slots first, in the calling process, whose window is
/// mapped. Returns their address.
pub(crate) fn map_slots(file: &File) -> Result<u64> {
    let bytes = (SHARED_PAGES as u64).saturating_mul(PAGE_BYTES);
    window_file::map_anywhere(file, bytes, SLOTS_OFFSET)
}

/// MAP_WINDOW: what the caller had mapped in a part of its window makes place for the window. EINVAL
/// outside of it, and for a child of vfork, which has its parent's.
pub(crate) fn map_part(proxy: &Proxy, part: &WindowPart) -> Result {
    let window = (proxy.window_start, WINDOW_END);
    let aligned = part.start % PAGE_BYTES == 0 && part.bytes % PAGE_BYTES == 0;
    if !aligned
        || part.bytes == 0
        || proxy.borrows_window()
        || !within(part.start, part.bytes, window)
    {
        return Err(EINVAL);
    }
    let file = proxy.memory.window_file().ok_or(ESRCH)?;
    window_file::map_window(&file, part.start, part.bytes)
}
