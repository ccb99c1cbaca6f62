// SPDX-License-Identifier: GPL-2.0
//! Reads the co-kernel's page tables (x86-64, four levels). Each entry is read once; the tables
//! belong to the other side and change at any time.

use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use core::sync::atomic::{AtomicU64, Ordering};

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const ENTRY_BYTES: u64 = 8;
const TABLE_ENTRIES: u64 = 512;

/// What the mapping must allow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading by the program.
    Read,
    /// Writing by the program.
    Write,
    /// Execution by the program.
    Execute,
}

impl Access {
    const fn required(self) -> u64 {
        match self {
            Self::Read | Self::Execute => PRESENT | USER,
            Self::Write => PRESENT | USER | WRITE,
        }
    }

    const fn forbidden(self) -> u64 {
        match self {
            Self::Execute => NO_EXECUTE,
            _ => 0,
        }
    }

    /// Whether `entry` allows it.
    const fn is_allowed(self, entry: u64) -> bool {
        entry & self.required() == self.required() && entry & self.forbidden() == 0
    }
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    /// Physical address of the small page that contains the address.
    pub(crate) page: u64,
    /// Bytes from there to the end of the page of whatever size that maps it.
    pub(crate) contiguous: u64,
    /// Whether an aligned 2 MiB around the address are mapped alike.
    pub(crate) is_large: bool,
}

/// How far the upper three levels lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descent {
    /// To a large page.
    Page(Translation),
    /// To the table of small pages at this physical address.
    Table(u64),
}

/// Follows the upper levels from `root` for `address`. `read` returns the word at a physical
/// address, or `None` if that is none of the partition's. `None`: not mapped so that `access` is
/// allowed.
pub(crate) fn descend(
    root: u64,
    address: u64,
    access: Access,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<Descent> {
    let mut table = root & ADDRESS;
    for shift in [39, 30, 21] {
        let index = (address >> shift) & (TABLE_ENTRIES - 1);
        let entry = read(table | (index * ENTRY_BYTES))?;
        if !access.is_allowed(entry) {
            return None;
        }
        if entry & LARGE != 0 {
            return (shift != 39).then(|| Descent::Page(leaf(entry, address, 1 << shift)));
        }
        table = entry & ADDRESS;
    }
    Some(Descent::Table(table))
}

/// Physical address of the entry for `address` in a table of small pages.
pub(crate) const fn small_entry(table: u64, address: u64) -> u64 {
    let index = (address / PAGE_BYTES) & (TABLE_ENTRIES - 1);
    table | (index * ENTRY_BYTES)
}

/// The page that an entry of a table of small pages leads to, if `access` is allowed.
pub(crate) fn small_page(entry: u64, access: Access) -> Option<u64> {
    access.is_allowed(entry).then_some(entry & ADDRESS)
}

/// Where `address` leads; parameters as for [`descend`].
pub(crate) fn walk(
    root: u64,
    address: u64,
    access: Access,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<Translation> {
    match descend(root, address, access, &mut read)? {
        Descent::Page(translation) => Some(translation),
        Descent::Table(table) => {
            let page = small_page(read(small_entry(table, address))?, access)?;
            Some(Translation {
                page,
                contiguous: PAGE_BYTES,
                is_large: false,
            })
        }
    }
}

/// As [`walk`], but the pages that follow are taken in, up to `most` bytes in all, as long as they
/// are adjacent in memory, too, within 2 MiB. `words` gives out the words from a physical address
/// on.
pub(crate) fn walk_run<'a>(
    root: u64,
    address: u64,
    most: u64,
    access: Access,
    mut words: impl FnMut(u64, usize) -> Option<&'a [AtomicU64]>,
) -> Option<Translation> {
    let read = |entry| Some(words(entry, 1)?.first()?.load(Ordering::Acquire));
    let table = match descend(root, address, access, read)? {
        Descent::Page(translation) => return Some(translation),
        Descent::Table(table) => table,
    };
    let first = small_entry(table, address);
    let rest = TABLE_ENTRIES - (first % PAGE_BYTES) / ENTRY_BYTES;
    let wanted = most.div_ceil(PAGE_BYTES).saturating_add(1).min(rest);
    let entries = words(first, wanted as usize)?;
    let mut pages = entries
        .iter()
        .map(|entry| small_page(entry.load(Ordering::Acquire), access));
    let page = pages.next()??;
    let in_block = (LARGE_PAGE_BYTES - page % LARGE_PAGE_BYTES) / PAGE_BYTES;
    let adjacent = (page..).step_by(PAGE_BYTES as usize).skip(1);
    let more = pages
        .zip(adjacent)
        .take_while(|(next, expected)| *next == Some(*expected))
        .count() as u64;
    Some(Translation {
        page,
        contiguous: (more + 1).min(in_block) * PAGE_BYTES,
        is_large: false,
    })
}

fn leaf(entry: u64, address: u64, page_bytes: u64) -> Translation {
    let inside = address & (page_bytes - 1) & !(PAGE_BYTES - 1);
    Translation {
        page: (entry & ADDRESS & !(page_bytes - 1)) | inside,
        contiguous: page_bytes - inside,
        is_large: true,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        small_entry, walk, walk_run, Access, Translation, LARGE, NO_EXECUTE, PRESENT, USER, WRITE,
    };
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::collections::HashMap;

    const ROOT: u64 = 0x1000;
    const ADDRESS: u64 = 0x1234_5678_9abc;
    const ALL: u64 = PRESENT | USER | WRITE;
    /// Bits that hardware or the co-kernel may set and the walk must not take for an address.
    const NOISE: u64 = 1 << 63 | 1 << 59 | 1 << 52 | 0xe60;

    /// Tables that lead `ADDRESS` to `leaf`, which lies in the table of `depth` (1 = top).
    fn tables(depth: u64, leaf: u64, flags: u64) -> HashMap<u64, u64> {
        (1..=depth)
            .map(|level| {
                let index = ADDRESS >> (48 - 9 * level) & 511;
                let next = if level == depth {
                    leaf
                } else {
                    (level + 1) * ROOT
                };
                (level * ROOT + index * 8, next | flags | NOISE)
            })
            .collect()
    }

    fn find(memory: &HashMap<u64, u64>, access: Access) -> Option<Translation> {
        walk(ROOT, ADDRESS, access, |word| memory.get(&word).copied())
    }

    #[test]
    fn small_page_is_found_with_its_own_bytes() {
        let found = find(&tables(4, 0xabc_d000, ALL), Access::Write);
        let expected = Translation {
            page: 0xabc_d000,
            contiguous: 4096,
            is_large: false,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn large_pages_lead_to_the_small_page_inside() {
        for (depth, bytes) in [(3, 2u64 << 20), (2, 1 << 30)] {
            let found = find(&tables(depth, 4 << 30 | LARGE, ALL), Access::Read).unwrap();
            let inside = ADDRESS % bytes / 4096 * 4096;
            assert_eq!(found.page, (4 << 30) + inside);
            assert_eq!(found.contiguous, bytes - inside);
            assert!(found.is_large);
        }
    }

    #[test]
    fn adjacent_pages_are_one_run() {
        let memory: Vec<AtomicU64> = (0..5 * 512).map(|_| AtomicU64::new(0)).collect();
        let words = |at: u64, count: usize| memory.get(at as usize / 8..)?.get(..count);
        let set = |at: u64, entry: u64| memory[at as usize / 8].store(entry, Ordering::Relaxed);
        for level in 1..4 {
            let index = ADDRESS >> (48 - 9 * level) & 511;
            set(level * ROOT + index * 8, ((level + 1) * ROOT) | ALL);
        }
        let first = small_entry(4 * ROOT, ADDRESS);
        for (index, page) in [0x1f_e000, 0x1f_f000, 0x20_0000, 0x30_0000]
            .iter()
            .enumerate()
        {
            set(first + index as u64 * 8, page | ALL);
        }
        let run = |address: u64, most| {
            let found = walk_run(ROOT, address, most, Access::Write, words)?;
            Some((found.page, found.contiguous))
        };
        // The third page is adjacent but in another block of 2 MiB.
        assert_eq!(run(ADDRESS, 1 << 20), Some((0x1f_e000, 0x2000)));
        assert_eq!(run(ADDRESS + 0x2000, 1 << 20), Some((0x20_0000, 0x1000)));
        assert_eq!(run(ADDRESS + 0x4000, 1 << 20), None);
        let last = ADDRESS | 511 << 12;
        set(small_entry(4 * ROOT, last), 0x40_0000 | ALL);
        assert_eq!(run(last, 1 << 20), Some((0x40_0000, 0x1000)));
    }

    #[test]
    fn large_page_at_the_top_level_does_not_exist() {
        assert_eq!(find(&tables(1, LARGE, ALL), Access::Read), None);
    }

    #[test]
    fn every_level_must_allow_the_access() {
        for (missing, refused) in [
            (WRITE, Access::Write),
            (USER, Access::Read),
            (PRESENT, Access::Read),
        ] {
            for key in tables(4, 0x5000, ALL).keys() {
                let mut memory = tables(4, 0x5000, ALL);
                memory.entry(*key).and_modify(|entry| *entry &= !missing);
                assert_eq!(find(&memory, refused), None);
            }
        }
    }

    #[test]
    fn execution_needs_every_level_without_the_bit_against_it() {
        let allowed = |depth, table: u64| {
            let mut memory = tables(4, 0x5000, ALL);
            memory.values_mut().for_each(|entry| *entry &= !NO_EXECUTE);
            if table == depth {
                let top = table * ROOT;
                memory
                    .iter_mut()
                    .filter(|(at, _)| **at & !0xfff == top)
                    .for_each(|(_, entry)| *entry |= NO_EXECUTE);
            }
            find(&memory, Access::Execute).is_some()
        };
        assert!(allowed(0, 1));
        for depth in 1..=4 {
            assert!(!allowed(depth, depth));
        }
    }

    #[test]
    fn less_access_needs_fewer_bits() {
        assert!(find(&tables(4, 0x5000, PRESENT | USER), Access::Read).is_some());
        assert!(find(&tables(4, 0x5000, PRESENT), Access::Read).is_none());
    }

    #[test]
    fn tables_outside_the_partition_end_the_walk() {
        for key in tables(4, 0x5000, ALL).keys() {
            let mut memory = tables(4, 0x5000, ALL);
            memory.remove(key);
            assert_eq!(find(&memory, Access::Read), None);
        }
    }
}
