// SPDX-License-Identifier: GPL-2.0
//! Page tables of x86-64 with four levels: the bits of an entry, where the entry for an address stands,
//! and where an address leads. Hop 7 of a delegated call reads them.
//!
//! The co-kernel writes the tables of its programs, and mcctrl reads them to map the same frames.
//! ihk.ko writes the tables that co-kernel CPUs start on. A reader takes each entry once, because
//! the tables belong to the other side and change at any time.

use super::atomic::{AtomicU64, Ordering};
use super::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

/// The entry leads somewhere.
pub const PRESENT: u64 = 1;
/// Writing is allowed.
pub const WRITE: u64 = 1 << 1;
/// User mode may use it.
pub const USER: u64 = 1 << 2;
/// The CPU has used the entry.
pub const ACCESSED: u64 = 1 << 5;
/// The CPU has written the page.
pub const DIRTY: u64 = 1 << 6;
/// The entry maps a large page instead of leading to a table (`PS`).
pub const LARGE: u64 = 1 << 7;
/// The translation outlives a change of the root.
pub const GLOBAL: u64 = 1 << 8;
/// Execution is forbidden.
pub const NO_EXECUTE: u64 = 1 << 63;
/// The physical address that the entry holds, of a small page or of a table.
pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Bytes of an entry.
pub const ENTRY_BYTES: u64 = 8;
/// Entries of a table.
pub const ENTRIES: u64 = 512;

/// Level of the table whose entries map small pages.
pub const SMALL_LEVEL: u32 = 1;
/// Level of the table whose entries can map pages of 2 MiB.
pub const LARGE_LEVEL: u32 = 2;
/// Level of the table whose entries can map pages of 1 GiB.
pub const GIANT_LEVEL: u32 = 3;
/// Level of the root.
pub const ROOT_LEVEL: u32 = 4;

/// Logarithm of the bytes that an entry of a table of `level` stands for.
#[must_use]
pub const fn shift(level: u32) -> u32 {
    12 + 9 * (level - SMALL_LEVEL)
}

/// Index of the entry for `address` in a table of `level`.
#[must_use]
pub const fn index(address: u64, level: u32) -> u64 {
    (address >> shift(level)) & (ENTRIES - 1)
}

/// Physical address of the entry for `address` in the table of `level` at `table`.
#[must_use]
pub const fn entry(table: u64, address: u64, level: u32) -> u64 {
    table | (index(address, level) * ENTRY_BYTES)
}

const _: () = assert!(PAGE_BYTES == 1 << shift(SMALL_LEVEL));
const _: () = assert!(LARGE_PAGE_BYTES == 1 << shift(LARGE_LEVEL));

/// The access that the mapping must allow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
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

/// The translation of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Physical address of the small page that contains the address.
    pub page: u64,
    /// Bytes from there to the end of the page of whatever size that maps it.
    pub contiguous: u64,
    /// Whether an aligned 2 MiB around the address are mapped alike.
    pub is_large: bool,
}

/// The end of a walk through the upper three levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descent {
    /// To a large page.
    Page(Translation),
    /// To the table of small pages at this physical address.
    Table(u64),
}

/// Follows the upper levels from `root` for `address`. `read` returns the word at a physical
/// address, or `None` if that is none of the partition's. `None`: not mapped so that `access` is
/// allowed.
pub fn descend(
    root: u64,
    address: u64,
    access: Access,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<Descent> {
    let mut table = root & ADDRESS;
    for level in [ROOT_LEVEL, GIANT_LEVEL, LARGE_LEVEL] {
        let found = read(entry(table, address, level))?;
        if !access.is_allowed(found) {
            return None;
        }
        if found & LARGE != 0 {
            let page = || Descent::Page(leaf(found, address, 1 << shift(level)));
            return (level != ROOT_LEVEL).then(page);
        }
        table = found & ADDRESS;
    }
    Some(Descent::Table(table))
}

/// The page that an entry of a table of small pages leads to, if `access` is allowed.
pub fn small_page(entry: u64, access: Access) -> Option<u64> {
    access.is_allowed(entry).then_some(entry & ADDRESS)
}

/// The translation of `address`; parameters as for [`descend`].
pub fn walk(
    root: u64,
    address: u64,
    access: Access,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<Translation> {
    match descend(root, address, access, &mut read)? {
        Descent::Page(translation) => Some(translation),
        Descent::Table(table) => {
            let page = small_page(read(entry(table, address, SMALL_LEVEL))?, access)?;
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
pub fn walk_run<'a>(
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
    let first = entry(table, address, SMALL_LEVEL);
    let rest = ENTRIES - (first % PAGE_BYTES) / ENTRY_BYTES;
    let wanted = most.div_ceil(PAGE_BYTES).saturating_add(1).min(rest);
    let entries = words(first, usize::try_from(wanted).ok()?)?;
    let mut pages = entries
        .iter()
        .map(|entry| small_page(entry.load(Ordering::Acquire), access));
    let page = pages.next()??;
    let in_block = (LARGE_PAGE_BYTES - page % LARGE_PAGE_BYTES) / PAGE_BYTES;
    let adjacent = (1..).map(|next| page.wrapping_add(next * PAGE_BYTES));
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const ROOT: u64 = 0x1000;
    const TOUCHED: u64 = 0x1234_5678_9abc;
    const ALL: u64 = PRESENT | USER | WRITE;
    /// Bits that hardware or the co-kernel may set and the walk must not take for an address.
    const NOISE: u64 = 1 << 63 | 1 << 59 | 1 << 52 | 0xe60;

    /// Tables that lead `TOUCHED` to `leaf`, which lies in the table of `depth` (1 = top).
    fn tables(depth: u64, leaf: u64, flags: u64) -> HashMap<u64, u64> {
        (1..=depth)
            .map(|level| {
                let index = TOUCHED >> (48 - 9 * level) & 511;
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
        walk(ROOT, TOUCHED, access, |word| memory.get(&word).copied())
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
            let inside = TOUCHED % bytes / 4096 * 4096;
            assert_eq!(found.page, (4 << 30) + inside);
            assert_eq!(found.contiguous, bytes - inside);
            assert!(found.is_large);
        }
    }

    #[test]
    fn adjacent_pages_are_one_run() {
        let memory: Vec<AtomicU64> = (0..5 * 512).map(|_| AtomicU64::new(0)).collect();
        let word = |at: u64| usize::try_from(at / 8).unwrap();
        let words = |at: u64, count: usize| memory.get(word(at)..)?.get(..count);
        let set = |at: u64, entry: u64| memory[word(at)].store(entry, Ordering::Relaxed);
        for level in 1..4 {
            let index = TOUCHED >> (48 - 9 * level) & 511;
            set(level * ROOT + index * 8, ((level + 1) * ROOT) | ALL);
        }
        let first = entry(4 * ROOT, TOUCHED, SMALL_LEVEL);
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
        assert_eq!(run(TOUCHED, 1 << 20), Some((0x1f_e000, 0x2000)));
        assert_eq!(run(TOUCHED + 0x2000, 1 << 20), Some((0x20_0000, 0x1000)));
        assert_eq!(run(TOUCHED + 0x4000, 1 << 20), None);
        let last = TOUCHED | 511 << 12;
        set(entry(4 * ROOT, last, SMALL_LEVEL), 0x40_0000 | ALL);
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
