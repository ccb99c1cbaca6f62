// SPDX-License-Identifier: GPL-2.0
//! A page of a file from Linux's page cache, the way Linux's own faults get it: without the locks of
//! reading, which whoever faults may hold already (a `write` to the very file whose mapping it reads).

use super::extra;
use super::page::{phys_of, PageRef};
use super::source::Source;
use crate::proto::layout::PAGE_BYTES;
use core::ptr::NonNull;
use kernel::{bindings, error::from_err_ptr, prelude::*};

/// The way in which a file's pages come to the page cache.
#[derive(Clone, Copy)]
enum Way {
    /// By the file system's own function.
    Read,
    /// tmpfs has no such function.
    Memory,
}

impl Source {
    /// Whether [`Self::copy_page`] works for this file. Not for files that have no page cache of their
    /// own, as on overlayfs.
    pub(crate) fn has_page_cache(&self) -> bool {
        self.way().is_some()
    }

    fn way(&self) -> Option<Way> {
        let inode = self.inode();
        // SAFETY: the open file keeps inode, mapping, its operations and the file system.
        unsafe {
            let mapping = self.mapping();
            if (*mapping).host != inode {
                None
            } else if (*(*mapping).a_ops).read_folio.is_some() {
                Some(Way::Read)
            } else {
                let magic = (*(*inode).i_sb).s_magic;
                (magic == bindings::TMPFS_MAGIC as c_ulong).then_some(Way::Memory)
            }
        }
    }

    /// Its length now, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        // SAFETY: the open file keeps its inode; a word that others may change is read once.
        let size = unsafe { core::ptr::read_volatile(&raw const (*self.inode()).i_size) };
        u64::try_from(size).unwrap_or(0)
    }

    /// Copies page `page` of the file to `target`. Sleeps. EFAULT if the file has no such page, or the
    /// error of reading it.
    ///
    /// # Safety
    ///
    /// `target` is valid for writes of a page.
    pub(crate) unsafe fn copy_page(&self, page: u64, target: NonNull<u8>) -> Result {
        let way = self.way().ok_or(EFAULT)?;
        let mapping = self.mapping();
        // SAFETY: the open file keeps its mapping. Truncation may take the page out of it, but the
        // folio with its bytes is ours until the reference is dropped; `invalidate_lock` is what
        // Linux's own faults take, too, so that no hole is punched while the page is read.
        let folio = unsafe {
            bindings::down_read(&raw mut (*mapping).invalidate_lock);
            let folio = if page.saturating_mul(PAGE_BYTES) >= self.bytes() {
                Err(EFAULT)
            } else {
                from_err_ptr(match way {
                    Way::Read => {
                        bindings::read_cache_folio(mapping, page as c_ulong, None, self.as_ptr())
                    }
                    Way::Memory => {
                        extra::shmem_read_folio_gfp(mapping, page as c_ulong, (*mapping).gfp_mask)
                    }
                })
            };
            bindings::up_read(&raw mut (*mapping).invalidate_lock);
            folio?
        };
        let folio = NonNull::new(folio).ok_or(EIO)?;
        // SAFETY: the reference just taken is ours, and a folio's first page is its head.
        let head = unsafe { PageRef::from_folio(folio) };
        // SAFETY: a folio of the page cache, which does not change its index while it is referenced.
        let first = unsafe {
            (*folio.as_ptr())
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_2
                .index
        } as u64;
        let phys = phys_of(head.as_ptr()) + page.saturating_sub(first) * PAGE_BYTES;
        // SAFETY: set once at boot; all memory of Linux is mapped there.
        let source = unsafe { bindings::page_offset_base } as u64 + phys;
        // SAFETY: `target` by this function's contract. The page is memory of Linux that the reference
        // keeps; others may write it meanwhile, and then what is copied is old or new, byte by byte.
        unsafe {
            let source = source as usize as *const u8;
            core::ptr::copy_nonoverlapping(source, target.as_ptr(), PAGE_BYTES as usize);
        }
        Ok(())
    }
}
