// SPDX-License-Identifier: GPL-2.0
//! The page tables co-kernel CPUs start on: the partition, the image and the trampoline page.

use crate::ffi::pages::TablePage;
use crate::proto::layout::{Region, DIRECT_MAP_BASE, IMAGE_BASE, LARGE_PAGE_BYTES};
use crate::proto::page_table::{self, LARGE, LARGE_LEVEL, PRESENT, ROOT_LEVEL, SMALL_LEVEL, WRITE};
use crate::resource::memory::Run;
use kernel::prelude::*;

/// In every entry.
const ENTRY: u64 = PRESENT | WRITE;

/// A table and the tables below it.
struct Table {
    page: TablePage,
    /// Index of the entry, table it points to.
    children: KVec<(usize, Table)>,
}

impl Table {
    fn new() -> Result<Self> {
        Ok(Self {
            page: TablePage::new()?,
            children: KVec::new(),
        })
    }

    /// Maps the page at `virt` of this table of `level` to `phys`, by an entry of `leaf_level`.
    fn map(&mut self, level: u32, virt: u64, phys: u64, leaf_level: u32) -> Result {
        let index = page_table::index(virt, level) as usize;
        if level == leaf_level {
            let size = if level == LARGE_LEVEL { LARGE } else { 0 };
            self.page.set(index, phys | size | ENTRY);
            return Ok(());
        }
        self.child(index)?.map(level - 1, virt, phys, leaf_level)
    }

    /// The table behind entry `index`. Mapping goes upwards, so the newest child is tried first.
    fn child(&mut self, index: usize) -> Result<&mut Self> {
        let position = match self.children.iter().rposition(|(at, _)| *at == index) {
            Some(position) => position,
            None => {
                let table = Self::new()?;
                self.page.set(index, table.page.phys() | ENTRY);
                self.children.push((index, table), GFP_KERNEL)?;
                self.children.len() - 1
            }
        };
        self.children
            .as_mut_slice()
            .get_mut(position)
            .map(|(_, table)| table)
            .ok_or(EINVAL)
    }
}

/// The tables; they must live until no CPU runs on them.
pub(crate) struct BootTables(Table);

impl BootTables {
    /// Maps `runs` at the direct map and the image, which begins on a 2 MiB boundary.
    pub(crate) fn build(runs: &[Run], image: Region) -> Result<Self> {
        let mut tables = Self(Table::new()?);
        for run in runs {
            tables.map_large(DIRECT_MAP_BASE + run.phys, run.phys, run.bytes)?;
        }
        tables.map_large(IMAGE_BASE, image.phys, image.bytes)?;
        Ok(tables)
    }

    /// Maps the page at `phys` (below 4 GiB) one to one.
    pub(crate) fn map_identity(&mut self, phys: u64) -> Result {
        self.0.map(ROOT_LEVEL, phys, phys, SMALL_LEVEL)
    }

    /// Physical address of the root, below 4 GiB.
    pub(crate) fn root(&self) -> u64 {
        self.0.page.phys()
    }

    fn map_large(&mut self, virt: u64, phys: u64, bytes: u64) -> Result {
        let mut offset = 0;
        while offset < bytes {
            self.0
                .map(ROOT_LEVEL, virt + offset, phys + offset, LARGE_LEVEL)?;
            offset += LARGE_PAGE_BYTES;
        }
        Ok(())
    }
}
