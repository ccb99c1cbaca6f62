// SPDX-License-Identifier: GPL-2.0
//! Moving pages to other addresses of the same page tables (mremap).

use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use cokernel_logic::vma::Range;

use super::{users, MapError, PageTable};
use crate::addr::to_usize;
use crate::arch::pte::{Flags, Mapping, PageSize};
use crate::aspace::shootdown;

impl PageTable {
    /// Moves the pages of `from` to `to` and behind, with the rights `flags`; all or none. A large page
    /// that does not fall on a boundary of its size there becomes smaller ones. All CPUs forget the
    /// pages of `from`.
    ///
    /// # Errors
    ///
    /// Something is there, or there is no frame for a table; nothing was moved.
    pub fn relocate(&mut self, from: Range, to: u64, flags: Flags) -> Result<(), MapError> {
        let there = Range {
            start: to,
            end: to + from.bytes(),
        };
        if self.next_mapping(there.start, there.end).is_some() {
            return Err(MapError::Occupied);
        }
        self.cut(from.start).map_err(|_| MapError::OutOfFrames)?;
        self.cut(from.end).map_err(|_| MapError::OutOfFrames)?;
        let mut at = from.start;
        while let Some((address, page)) = self.next_mapping(at, from.end) {
            if let Err(error) = self.enter_again(to + (address - from.start), &page, flags) {
                // The leaves at `from` still have the counts.
                self.erase(there);
                return Err(error);
            }
            at = address + page.size.bytes();
        }
        self.erase(from);
        shootdown::shootdown(&self.space, from.start, from.end, PageSize::Small);
        Ok(())
    }

    /// Enters the leaf of `page` at `target`, too.
    fn enter_again(&mut self, target: u64, page: &Mapping, flags: Flags) -> Result<(), MapError> {
        let flags = Flags {
            mirrored: page.flags.mirrored,
            ..flags
        };
        let sizes = [page.size, PageSize::Large, PageSize::Small];
        let fits = |size: &PageSize| *size <= page.size && target % size.bytes() == 0;
        let size = sizes.into_iter().find(fits).unwrap_or(PageSize::Small);
        for offset in (0..page.size.bytes()).step_by(to_usize(size.bytes())) {
            self.enter_leaf(users(target + offset)?, page.pa + offset, size, flags)?;
        }
        Ok(())
    }

    /// Empties the leaves in `range`, whose counts other leaves have.
    fn erase(&mut self, range: Range) {
        let _: ControlFlow<()> = self.visit(range.start, range.end, |_, slot, _| {
            slot.swap(0, Ordering::SeqCst);
            ControlFlow::Continue(())
        });
    }
}
