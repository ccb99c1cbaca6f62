// SPDX-License-Identifier: GPL-2.0
//! The pages around a fault that are mapped together: an aligned block, cut to the area. Looking at
//! a block costs little more than looking at one page, because the upper levels are walked once.

use crate::ffi::ihk::{Frame, Partition};
use crate::proto::layout::PAGE_BYTES;
use crate::proto::page_table::{self, descend, small_page, Access, Descent, SMALL_LEVEL};
use core::sync::atomic::Ordering;

/// Pages of a block; a power of two, and a block never spans two page tables.
const PAGES: usize = 16;
const BYTES: u64 = PAGES as u64 * PAGE_BYTES;

/// The address of a block, and which of its pages belong to the area.
pub(crate) struct Block {
    start: u64,
    bounds: (u64, u64),
}

impl Block {
    /// The block around `address`, cut to the area's `bounds`.
    pub(crate) fn around(address: u64, bounds: (u64, u64)) -> Self {
        Self {
            start: address & !(BYTES - 1),
            bounds,
        }
    }

    /// The frames that its pages lead to now. Each entry is read once.
    pub(crate) fn look(&self, partition: &Partition<'_>, root: u64, access: Access) -> View {
        let mut view = View {
            start: self.start,
            pages: [None; PAGES],
        };
        match descend(root, self.start, access, |entry| partition.word(entry)) {
            None => {}
            Some(Descent::Page(large)) => {
                view.fill(|index| Some(large.page.saturating_add(index * PAGE_BYTES)));
            }
            Some(Descent::Table(table)) => {
                let first = page_table::entry(table, self.start, SMALL_LEVEL);
                let entries = partition.words(first, PAGES);
                view.fill(|index| {
                    let entry = entries?.get(index as usize)?.load(Ordering::Acquire);
                    small_page(entry, access)
                });
            }
        }
        view.cut(self.bounds);
        view
    }
}

/// Physical addresses of the pages of a block; `None` where there is none to be mapped.
pub(crate) struct View {
    start: u64,
    pages: [Option<u64>; PAGES],
}

impl View {
    fn fill(&mut self, page_at: impl Fn(u64) -> Option<u64>) {
        for (index, page) in (0..).zip(&mut self.pages) {
            *page = page_at(index);
        }
    }

    fn cut(&mut self, (start, end): (u64, u64)) {
        for (address, page) in (self.start..)
            .step_by(PAGE_BYTES as usize)
            .zip(&mut self.pages)
        {
            if address < start || address >= end {
                *page = None;
            }
        }
    }

    /// The physical address that `address`, which lies in the block, leads to.
    pub(crate) fn page_of(&self, address: u64) -> Option<u64> {
        let index = address.checked_sub(self.start)? / PAGE_BYTES;
        *self.pages.get(usize::try_from(index).ok()?)?
    }

    /// Marks all its frames as exposed (full barrier). Pages of Linux's own, like those of the vdso,
    /// are left out. `None` if the marks do not reach that far.
    pub(crate) fn expose(self, partition: &Partition<'_>) -> Option<Marked> {
        let mut frames = [None; PAGES];
        let mut run: Option<(Frame, u32)> = None;
        for (page, place) in self.pages.iter().zip(&mut frames) {
            let Some(frame) = page.and_then(|page| partition.frame(page)) else {
                continue;
            };
            *place = Some(frame);
            run = match run {
                Some((first, count)) if first.number.checked_add(count) == Some(frame.number) => {
                    Some((first, count.saturating_add(1)))
                }
                other => {
                    expose_run(partition, other)?;
                    Some((frame, 1))
                }
            };
        }
        expose_run(partition, run)?;
        Some(Marked {
            start: self.start,
            frames,
        })
    }
}

fn expose_run(partition: &Partition<'_>, run: Option<(Frame, u32)>) -> Option<()> {
    let Some((first, count)) = run else {
        return Some(());
    };
    partition.expose_run(first, count).then_some(())
}

/// A block whose frames are marked.
pub(crate) struct Marked {
    start: u64,
    frames: [Option<Frame>; PAGES],
}

impl Marked {
    /// Whether the page at `address`, which lies in the block, is of the partition.
    pub(crate) fn has(&self, address: u64) -> bool {
        let index = address.saturating_sub(self.start) / PAGE_BYTES;
        matches!(self.frames.get(index as usize), Some(Some(_)))
    }

    /// The pages that a later look finds unchanged: they may be mapped, and will be noticed if they
    /// are revoked.
    pub(crate) fn unchanged_in<'a>(
        &'a self,
        later: &'a View,
    ) -> impl Iterator<Item = (u64, Frame)> + 'a {
        let addresses = (self.start..).step_by(PAGE_BYTES as usize);
        addresses
            .zip(self.frames.iter().zip(&later.pages))
            .filter_map(|(address, (frame, page))| {
                let frame = (*frame)?;
                (*page == Some(frame.phys)).then_some((address, frame))
            })
    }
}
