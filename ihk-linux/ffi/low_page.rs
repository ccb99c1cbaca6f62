// SPDX-License-Identifier: GPL-2.0
//! A page below 1 MiB, where a starting CPU must find its first instructions. It is borrowed for
//! the time of a boot and put back as it was.

use super::{extra, pages};
use crate::proto::layout::PAGE_BYTES;
use kernel::bindings;
use kernel::prelude::*;

/// First page worth a look: below lie the interrupt vectors and the firmware's data area.
const FIRST: u64 = 0x10;
/// One past the last page: the video memory.
const END: u64 = 0xa0;
/// Kinds of memory other than RAM in the firmware's map; a page that touches one is not ours.
const OTHER_KINDS: [u32; 6] = [2, 3, 4, 5, 7, 12];
/// RAM in the firmware's map.
const RAM: u32 = 1;

/// The borrowed page. Writes go to the page; dropping it puts the old bytes back.
pub(crate) struct LowPage {
    number: u8,
    saved: KVec<u8>,
}

impl LowPage {
    /// Finds a page nobody uses: RAM for firmware and for Linux, and all zeroes.
    ///
    /// The first MiB is never given to Linux's page allocator; what Linux itself put there (its
    /// own trampoline) is not zero. The caller keeps others from borrowing at the same time and
    /// CPUs from starting.
    pub(crate) fn borrow() -> Result<Self> {
        let number = (FIRST..END)
            .find(|&number| is_unused(number * PAGE_BYTES))
            .ok_or(ENODEV)?;
        let mut saved = KVec::with_capacity(PAGE_BYTES as usize, GFP_KERNEL)?;
        // SAFETY: RAM in Linux's direct map, which nobody else writes.
        let bytes = unsafe {
            core::slice::from_raw_parts(pages::to_virtual(number * PAGE_BYTES), PAGE_BYTES as usize)
        };
        saved.extend_from_slice(bytes, GFP_KERNEL)?;
        Ok(Self {
            number: u8::try_from(number).map_err(|_| ENODEV)?,
            saved,
        })
    }

    /// Page number: what a start-up interrupt carries.
    pub(crate) fn number(&self) -> u8 {
        self.number
    }

    /// Physical address.
    pub(crate) fn phys(&self) -> u64 {
        u64::from(self.number) * PAGE_BYTES
    }

    /// Copies `bytes` to the start of the page; what does not fit is an error.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result {
        if bytes.len() > PAGE_BYTES as usize {
            return Err(E2BIG);
        }
        // SAFETY: the page is borrowed, the length checked.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(0), bytes.len()) };
        Ok(())
    }

    /// Stores a value at `offset`. A starting CPU may read it at the same time.
    pub(crate) fn store<T: Copy>(&mut self, offset: usize, value: T) {
        if fits::<T>(offset) {
            // SAFETY: inside the borrowed page; alignment is not asked for.
            unsafe { self.at(offset).cast::<T>().write_unaligned(value) };
        }
    }

    /// Loads a word that a starting CPU may write at the same time.
    pub(crate) fn load(&self, offset: usize) -> u32 {
        if !fits::<u32>(offset) || offset % align_of::<u32>() != 0 {
            return 0;
        }
        // SAFETY: inside the borrowed page and aligned.
        unsafe { self.at(offset).cast::<u32>().read_volatile() }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        pages::to_virtual(self.phys()).wrapping_add(offset)
    }
}

fn fits<T>(offset: usize) -> bool {
    offset
        .checked_add(size_of::<T>())
        .is_some_and(|end| end <= PAGE_BYTES as usize)
}

impl Drop for LowPage {
    fn drop(&mut self) {
        // SAFETY: the page is borrowed, and `saved` has exactly its bytes.
        unsafe {
            core::ptr::copy_nonoverlapping(self.saved.as_ptr(), self.at(0), self.saved.len())
        };
    }
}

fn is_unused(phys: u64) -> bool {
    let end = phys + PAGE_BYTES;
    // SAFETY: both only look into tables of the kernel.
    let is_ram = unsafe {
        let flags = bindings::IORESOURCE_SYSTEM_RAM as usize;
        let known = bindings::region_intersects(phys, PAGE_BYTES as usize, flags, 0);
        extra::e820__mapped_any(phys, end, RAM) && known == 0
    };
    // SAFETY: as above.
    let is_other = |&kind: &u32| unsafe { extra::e820__mapped_any(phys, end, kind) };
    if !is_ram || OTHER_KINDS.iter().any(is_other) {
        return false;
    }
    // SAFETY: RAM in Linux's direct map.
    let bytes =
        unsafe { core::slice::from_raw_parts(pages::to_virtual(phys), PAGE_BYTES as usize) };
    bytes.iter().all(|&byte| byte == 0)
}
